# SPDX-License-Identifier: Apache-2.0
"""Scripts: what is asked of a guest, as a text that people read and every command understands.

One statement a line; `#` begins a comment. First the header, of which each line may be missing:

    kernel 6.1/x86_64                       # a spec, as --kernel takes it
    cpu EPYC,-smap                          # a model, as --cpu takes it
    append vsyscall=emulate                 # kernel parameters; repeatable
    accel tcg                               # auto, tcg or kvm
    memory 256                              # MiB

Then the statements, in the order in which they are carried out:

    int80 getppid                           # a call: entry path, name or number, arguments
    fd = syscall open "/proc/version" 0     # its result gets a name
    syscall read $fd buf:16 16              # and is an argument of a later one
    int80 close -1 ecx=7 flags=0x602        # registers that hold something else; timeout=S too
    buffer pair 8                           # reserves memory in both ABIs: $pair is its address
    int80 pipe $pair -> 0                   # what it has to answer
    int80 lseek u32:$pair+4 0 0 -> ESPIPE   # a number that is read from memory before the call
    poke i386 @edge+0xff0 "text"            # writes into the memory of the executor of an ABI
    peek i386 $pair 8                       # reads there
    file "/letters" 0600 raw:"abc"          # writes a file in the guest; the mode may be left out
    cat "/letters" -> raw:"abc"             # reads one
    probe i386 vdso_gettimeofday 3          # runs a probe with numbers as its arguments
    exec "/bin/program" "argument"          # runs a program in the guest
    renew                                   # replaces the executors by fresh ones

Arguments are what `trapgate call` takes, see `harness.script.notation`. Behind an arrow stands what
has to be answered: `-> 16`, `-> EFAULT` or `-> SIGSEGV` by a call; bytes by `peek` and `cat`;
`-> failed=0 found=1` by a probe; `-> 0`, the exit status, by `exec`.
"""
