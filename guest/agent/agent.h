/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent's files share. */
#ifndef AGENT_H
#define AGENT_H

#include "facts.h"
#include "guest.h"

struct frame {
	u16 magic;
	u8 type;
	u8 status;
	u32 sequence;
	u32 length;
	u8 payload[MAX_PAYLOAD + 4]; /* and the checksum behind it */
};

/* The payload of a request that is being read, front to back. */
struct cursor {
	const u8 *at;
	const u8 *end;
	int bad; /* something was asked for that is not there */
};

/* In window.c: memory that the host shares, where the machine has some. */
int open_window(void);
u32 take_from_window(void *to, u32 most);
void put_into_window(const void *from, u32 bytes);
int is_window_empty_after_looking(void);
int is_window_empty_unlooked(void);
void rest(void);

/* In frames.c. */
void open_frames(int in, int out);
void share_window(const struct frame *request);
long read_frame(struct frame *frame);
int is_frame_waiting(void);
int frames_port(void);
void send_frame(u8 type, u8 status, u32 sequence, const void *payload, u32 bytes);
void send_done(u32 sequence);
void send_status(u8 status, u32 sequence, u32 detail);
struct cursor open_request(const struct frame *frame);
u8 take_u8(struct cursor *c);
u32 take_u32(struct cursor *c);
u64 take_u64(struct cursor *c);
const char *take_text(struct cursor *c);

/* In child_*.S: a process that shares our memory until it ends or becomes a program, while we wait.
 * Returns its number, or -errno; `child` must not return. */
long start_child(void (*child)(const void *argument), const void *argument);

/* In run.c: programs for the executors, which lie in the room. */
void set_room(const char *folder);
void run_program(const struct frame *request);
void renew_executors(const struct frame *request);
void leave_executors(void);
u8 abis(void);

struct pollfd;

/* In input.c: what the program that runs is to read. */
void begin_input(int fd, u32 sequence);
void pass_input(void);
struct pollfd next_input(void);
void end_input(void);

/* In host.c: on a real host, in a folder that is gone in the end. Returns whether the agent has a
 * room of its own there; the caller goes on in a child. */
int move_in(const char *folder);

/* End every process of the agent's room but the agent, and remove what they have left in /tmp. */
void tidy_room(void);

/* In room.c: a room of its own, for a child that is its first process. */
long fork_into_room(void);
int furnish_room(const char *folder);
void make_folders(void);

/* In files.c and spawn.c. */
long write_text(const char *path, const char *text);
void put_file(const struct frame *request);
void get_file(const struct frame *request);
void spawn(const struct frame *request);

/* In settle.c. */
void open_random_pool(void);
void settle(const struct frame *request);

/* In requests.c: of a guest that nobody talks to while it runs. */
int open_requests(int port);
void end_requests(void);

/* In log.c. */
void open_log(void);
void give_log(const struct frame *request);

#endif
