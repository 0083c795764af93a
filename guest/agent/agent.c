// SPDX-License-Identifier: Apache-2.0
/*
 * agent: the first process of a guest. It mounts what a program expects, opens the second serial
 * port, says hello, and answers frames until there are no more. On a real host it does so in a
 * folder, over standard input and output.
 */
#include "agent.h"
#include "numbers.h"

#define FRAMES_PORT "/dev/ttyS1"

static struct frame request;
static u8 place = PLACE_GUEST;

_Noreturn void c_main(const uptr *stack);

struct termios {
	u32 input, output, control, local;
	u8 line;
	u8 characters[19];
};

/* include/uapi/asm-generic/termbits.h (6.1): 115200 baud, 8 bits, no modem lines, nothing cooked. */
#define B115200 0010002
#define CS8 0000060
#define CREAD 0000200
#define CLOCAL 0004000
#define VMIN 6

static int open_port(void)
{
	const struct termios raw = { .control = B115200 | CS8 | CREAD | CLOCAL,
				     .characters = { [VMIN] = 1 } };
	long fd = sys2(NR_open, FRAMES_PORT, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || sys3(NR_ioctl, fd, TCSETS, &raw))
		die(10);
	return (int)fd;
}

static void mount(const char *type, const char *at)
{
	sys2(NR_mkdir, at, 0755);
	sys5(NR_mount, type, at, type, 0, NULL);
}

static void prepare_guest(void)
{
	int port;

	mount("devtmpfs", "/dev");
	mount("proc", "/proc");
	mount("sysfs", "/sys");
	mount("tmpfs", "/tmp");
	/* Fewer interrupts a byte; QEMU hands over as many bytes at a time as this says. */
	write_text("/sys/class/tty/ttyS1/rx_trig_bytes", "14");
	write_text(WINDOW_DEVICE "/enable", "1");
	port = open_port();
	open_frames(open_requests(port), port);
	open_log();
	open_random_pool();
}

static void say_hello(void)
{
	const struct {
		u32 protocol;
		u8 bits;
		u8 place;
	} __attribute__((packed)) hello = { PROTOCOL, abis(), place };

	send_frame(FRAME_HELLO, STATUS_OK, 0, &hello, sizeof(hello));
}

static void answer(void)
{
	switch (request.type) {
	case FRAME_RUN:
		run_program(&request);
		break;
	case FRAME_PUT:
		put_file(&request);
		break;
	case FRAME_GET:
		get_file(&request);
		break;
	case FRAME_EXEC:
		spawn(&request);
		break;
	case FRAME_LOG:
		give_log(&request);
		break;
	case FRAME_SHARE:
		share_window(&request);
		break;
	case FRAME_RENEW:
		renew_executors(&request);
		break;
	case FRAME_INPUT: /* of a program that has ended meanwhile */
		break;
	case FRAME_SETTLE:
		if (place == PLACE_GUEST) { /* a host's clock is its own */
			settle(&request);
			break;
		}
		/* fall through */
	default:
		send_status(STATUS_MALFORMED, request.sequence, 0);
	}
}

/* On a real host there is an argument: the folder to live in. */
_Noreturn void c_main(const uptr *stack)
{
	if (sys0(NR_getpid) == 1) {
		prepare_guest();
	} else {
		place = move_in((const char *)stack[2]) ? PLACE_ROOM : PLACE_HOST;
		open_frames(0, 1);
	}
	say_hello();
	while (read_frame(&request) == 0)
		answer();
	end_requests();
	die(0);
}
