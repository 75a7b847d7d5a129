package io.membacking.guests;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Locale;

/**
 * The guest programs. Every constant documents its contract: the registers that carry its parameters, what it leaves in registers,
 * and how it ends. Unless said otherwise a program uses no stack, no interrupts and no memory but what its parameters name.
 *
 * <p>Flat programs ({@link Mode#REAL}, {@link Mode#PROTECTED}, {@link Mode#LONG}, {@link Mode#LONG_USER}) are loaded at 0x8000 and
 * entered there. Only {@link #REAL_PRINT} and {@link #REAL_TICKS} need that very address; the others run wherever they are loaded. Multiboot programs are
 * ELF images for 0x100000.
 *
 * <p>Thread-safe: constants without state.
 */
public enum GuestProgram {

    /**
     * Prints {@link #REAL_PRINT_TEXT} to a port, one byte at a time, and halts.
     *
     * <p>In: DX port. CS base 0.
     */
    REAL_PRINT(Mode.REAL),

    /**
     * Reads a byte, writes it to a port and halts.
     *
     * <p>In: ES:BX address, DX port. Out: AL the byte.
     */
    REAL_PEEK(Mode.REAL),

    /**
     * Writes a byte, reads it back, writes what it read to a port and halts.
     *
     * <p>In: ES:BX address, AL value, DX port. Out: AL the byte read back, AH the value written.
     */
    REAL_POKE(Mode.REAL),

    /**
     * String output ({@code rep outsb}), then halts.
     *
     * <p>In: DS:SI source, CX count, DX port. Out: CX 0, SI past the source.
     */
    REAL_OUTS(Mode.REAL),

    /**
     * String input ({@code rep insb}), then halts.
     *
     * <p>In: ES:DI destination, CX count, DX port. Out: CX 0, DI past the destination.
     */
    REAL_INS(Mode.REAL),

    /**
     * Counts the interrupts of a PC's timer until it is stopped; then it halts with interrupts off. It sets up the interrupt
     * controllers and counter 0 (mode 2) itself, halts between ticks, and checks at each that registers and stack are as they were.
     *
     * <p>In: the status page at 0x9000, whose count the host writes before the start; SS:SP. The status page: +0 ticks and +4 ticks
     * at which a check failed (32 bits each), +8 stop (the host writes a byte that is not 0, seen at the next tick), +10 the
     * timer's count (16 bits, 0 for 65,536). Needs interrupt controllers and a timer, and that it is loaded at 0x8000.
     */
    REAL_TICKS(Mode.REAL),

    /**
     * One 32-bit read, one 32-bit write, one read back, then halts.
     *
     * <p>In: EBX address to read, ECX address to write, EAX value to write. Out: EDX what was read at EBX, ESI what was read back at
     * ECX.
     */
    PROTECTED_PEEKPOKE(Mode.PROTECTED),

    /**
     * Reads a 32-bit word a number of times and compares it with two permitted values, then halts.
     *
     * <p>In: EBX address, ECX count (not 0), EAX and EDX the permitted values. Out: EDI reads that were neither, ESI reads that
     * differed from the read before, EBP the last value read.
     */
    PROTECTED_VERIFY(Mode.PROTECTED),

    /**
     * Adds 1 to a 32-bit word for ever.
     *
     * <p>In: EBX address.
     */
    PROTECTED_COUNTER(Mode.PROTECTED),

    /**
     * One 64-bit read, one 64-bit write, one read back, then halts.
     *
     * <p>In: RBX address to read, RCX address to write, RAX value to write. Out: RDX what was read at RBX, RSI what was read back at
     * RCX.
     */
    LONG_PEEKPOKE(Mode.LONG),

    /**
     * Reads a 64-bit word a number of times and compares it with two permitted values, then halts.
     *
     * <p>In: RBX address, RCX count (not 0), RAX and RDX the permitted values. Out: R8 reads that were neither, R9 reads that
     * differed from the read before, R10 the last value read.
     */
    LONG_VERIFY(Mode.LONG),

    /**
     * One 64-bit read, one 64-bit write, one read back, then the end.
     *
     * <p>In: RDI address to read, RSI address to write, RDX value to write, RBX end address. Out: R8 what was read at RDI, R9 what was
     * read back at RSI.
     */
    USER_PEEKPOKE(Mode.LONG_USER),

    /**
     * Reads a 64-bit word a number of times and compares it with two permitted values, then the end.
     *
     * <p>In: RDI address, RSI count (0 for ever), RDX and RCX the permitted values, RBX end address. Out: R8 reads that were neither,
     * R9 reads that differed from the read before, R10 the last value read, R11 the last wrong value, R12 reads done.
     */
    USER_READER(Mode.LONG_USER),

    /**
     * Writes 1, 2, 3, ... to a 64-bit word, then the end.
     *
     * <p>In: RDI address, RSI how many writes (0 for ever), RBX end address. Out: R8 the last value written.
     */
    USER_WRITER(Mode.LONG_USER),

    /**
     * Adds 1 to R8 and stores it at [RDI] until the word at [RDI+8] is not 0, then the end.
     *
     * <p>In: RDI address of two 64-bit words (count, stop), R8 where to start, RBX end address. Out: R8 the last value stored.
     */
    USER_COUNTER(Mode.LONG_USER),

    /**
     * Fills its own registers and a range of memory with patterns, checks them, and counts laps, until it is stopped; then the end.
     * Checked are 12 general registers, the carry flag, XMM0 to XMM15, MXCSR, one x87 register, the parameters, and the range (one
     * word a lap).
     *
     * <p>In: RDI address of a status page, all zeros; RSI address of the range (multiple of 8, not in the status page), RDX its
     * length in bytes (multiple of 8, not 0), RBX end address. The status page is four 64-bit words: +0 laps done, +8 stop (the host
     * writes not 0), +16 laps that were wrong, +24 the number of the first check that failed: 1 to 12 for RCX, RBP, RSP, R8 to R15,
     * RAX; 0x20 to 0x2f for XMM0 to XMM15; 0x30 MXCSR; 0x31 carry; 0x32 x87; 0x33 memory; 0x34 a parameter. +32 to +328 is the
     * program's own. Out: R8 wrong laps.
     *
     * <p>Needs SSE and x87: CR4 OSFXSR and OSXMMEXCPT set, CR0 EM and TS clear.
     */
    USER_CHECKER(Mode.LONG_USER),

    /**
     * {@link #USER_CHECKER} for moves between hypervisors of which some hold vectors without executing them: the host says when it may
     * execute vector and x87 instructions. Until it is stopped it fills its own registers and a range of memory with patterns, checks
     * them, and counts laps; then the end.
     *
     * <p>In: RDI address of a status page, all zeros; RSI address of the range (multiple of 8, not in the status page), RDX its
     * length in bytes (multiple of 8, not 0), RCX 0 to hold XMM0 to XMM15 or 1 to hold YMM0 to YMM15, RBX end address. Out: R8 what
     * the status page has at +16. The status page is eight 64-bit words, each written by one side alone:
     *
     * <ul>
     *   <li>+0 laps done.
     *   <li>+8 stop: the host writes not 0.
     *   <li>+16 checks that failed, at most one of integers and one of vectors a lap; +24 the number of the first: 1 to 12 for RCX,
     *       RBP, RSP, R8 to R14, RAX, R15; 0x20 to 0x2f for vector register 0 to 15; 0x30 MXCSR; 0x31 carry; 0x32 x87; 0x33
     *       memory; 0x34 a parameter.
     *   <li>+32 the phase asked for: the host writes 1 for the integer phase, 0 for the vector phase. +40 the phase it is in: from
     *       when it writes 1 there it executes no vector or x87 instruction until it has seen 0 at +32; then it writes 0 and checks
     *       in the same lap that vectors, MXCSR and x87 are as they were set before the integer phase. In the vector phase they are
     *       set and checked every lap. +48 how often it returned to the vector phase.
     *   <li>+56 digest: {@link #migrantDigest} of the laps done, if no check failed.
     * </ul>
     *
     * +64 to +704 is the program's own. Needs in the vector phase SSE and x87: CR4 OSFXSR and OSXMMEXCPT set, CR0 EM and TS clear;
     * for YMM also CR4 OSXSAVE and XCR0 7. In the integer phase it executes MOV, LEA, ADD, SUB, INC, DEC, IMUL, XOR, SHL, SHR, ROL,
     * CMP, TEST, STC, NOP and jumps.
     */
    USER_MIGRANT(Mode.LONG_USER),

    /**
     * Finds how long it stood still, for ever.
     *
     * <p>In: RDI address of four 64-bit words, all 0. +0 laps, +8 the largest of as many steps of the time-stamp counter, from lap to
     * lap, as the host says at +24, +16 the last time-stamp. Needs CR4 TSD clear.
     */
    USER_GAP(Mode.LONG_USER),

    /**
     * Fills a range with {@link #patternAt}, or verifies it, or both, then the end.
     *
     * <p>In: RDI address (multiple of 8), RSI length in bytes (multiple of 8, not 0), RDX seed, RCX 1 to fill, 2 to verify, 3 for
     * both, RBX end address. Out: R8 words that were wrong, R9 the address of the last wrong one.
     */
    USER_PATTERN(Mode.LONG_USER),

    /**
     * For several processors on one memory: atomic increments of a word ({@code lock xadd}), then the end. All wait at the start for
     * each other.
     *
     * <p>In: RDI address of two 64-bit words (sum, arrived; both 0 at first), RSI increments (not 0), RDX number of processors, RBX
     * end address. Out: R8 the sum after this processor's last increment.
     */
    USER_ADD(Mode.LONG_USER),

    /**
     * For two processors on one memory: they take turns to add 1 to a word, then the end.
     *
     * <p>In: RDI address of a 64-bit word (0 at first), RSI turns of each (not 0), RDX side (0 moves when the word is even, 1 when it
     * is odd), RBX end address. Out: R8 turns in which the word changed between the look and the increment (0 on coherent memory).
     */
    USER_PINGPONG(Mode.LONG_USER),

    /**
     * The guest for a machine without firmware: prints a banner and the memory map over serial, checks the available memory below
     * 4 GiB and the PAM segments of an i440fx host bridge, and ends by the exit port. Each check is a line that starts with {@code ok }
     * or {@code FAILED }; no line but those of failed checks has the word FAILED in it.
     *
     * <p>Memory: in every available range of the map below 4 GiB the last word of each MiB and of the range is written, read and put
     * back. PAM: each of the 13 segments is made read-write, read-only, hidden and read-write again by configuration registers 0x59
     * to 0x5f of 00:00.0; a write must stick when the segment is read-write and at no other time, and when it is hidden something
     * else must be read. At the end 0xf0000-0x100000 is read-only, 0xe0000-0xf0000 read-write and 0xc0000-0xe0000 hidden.
     *
     * <p>Ports: serial 0x3f8 to 0x3fd, debug 0x402 (one line), PCI configuration 0xcf8 and 0xcfc to 0xcff, exit 0xf4 with
     * {@link #SUCCESS} when no check failed and {@link #FAILURE} otherwise. Needs a multiboot memory map.
     */
    HELLO(Mode.MULTIBOOT),

    /**
     * The guest to be moved while it runs: counts laps in which it fills and checks its registers, its stack and a range of memory,
     * and prints a line a second, by the real time clock, with the laps done and whether anything was wrong ({@code FAILED} then, and
     * at no other time). Integer instructions alone, no interrupts.
     *
     * <p>With {@code lines=N} on its command line it ends by the exit port after N lines, with {@link #SUCCESS} if no check failed
     * and {@link #FAILURE} otherwise; a byte on the serial port ends it too; else it counts for ever. Uses 0x200000-0x204000 beside
     * its image.
     *
     * <p>Ports: serial 0x3f8 to 0x3fd, CMOS 0x70 and 0x71, exit 0xf4.
     */
    COUNTER(Mode.MULTIBOOT),

    /**
     * The guest that works with its monitor: changes the visibility of the PAM segments as {@link #HELLO} does, asks for device
     * memory, for another place for it, and for taking it out, and asks to be moved to another hypervisor; while it waits it counts
     * laps as {@link #COUNTER} does. Each check is a line that starts with {@code ok } or {@code FAILED }. Ends by the exit port with
     * {@link #SUCCESS} when no check failed and {@link #FAILURE} otherwise.
     *
     * <p>It asks by a mailbox of 32-bit words at {@link #MAILBOX}: +0 the step it is at, +4 the last step that the monitor has done,
     * +8 the result of that, 0 when it did it (the guest passes over what else it would check), written before +4. The steps:
     *
     * <ol>
     *   <li>a page of device memory at {@link #FIRST_PLACE}, whose first word is {@link #GREETING};
     *   <li>the guest has written the complement of that word behind it: the same device memory at {@link #SECOND_PLACE};
     *   <li>the device memory out of the guest;
     *   <li>the guest to another hypervisor.
     * </ol>
     *
     * After a minute without an answer it goes on without. Uses 0x200000-0x204000 beside mailbox and image.
     *
     * <p>Ports: serial 0x3f8 to 0x3fd, PCI configuration 0xcf8 and 0xcfc to 0xcff, CMOS 0x70 and 0x71, exit 0xf4.
     */
    WORKOUT(Mode.MULTIBOOT),

    /**
     * Prints over serial what its loader told it (flags, command line, loader name, memory sizes, memory map) and ends by the exit
     * port: {@link #SUCCESS}, or {@link #FAILURE} when the loader's magic number or the memory map is missing.
     *
     * <p>Ports: serial 0x3f8 to 0x3fd, exit 0xf4.
     */
    MBINFO(Mode.MULTIBOOT),

    /**
     * {@link #MBINFO} in an ELF64 image (32-bit code, as multiboot starts it), with the address fields of the multiboot header (flag
     * 16) for loaders that take ELF32 alone.
     */
    MBINFO64(Mode.MULTIBOOT);

    /** How a program is started. */
    public enum Mode {
        /** Flat, 16-bit real mode: segment bases 0 unless the contract gives a segment a meaning. */
        REAL,
        /** Flat, 32-bit protected mode without paging: flat 4 GiB segments, CPL 0. */
        PROTECTED,
        /** Flat, 64-bit long mode at CPL 0, with page tables of the host's that map the addresses the program is given to themselves. */
        LONG,
        /**
         * Flat, 64-bit long mode at CPL 3, with page tables of the host's that map the addresses the program is given to themselves,
         * with the user bit at every level. There is no HLT and no port I/O: a program ends by a 64-bit write of R8 to the address in
         * RBX, which is to be unmapped in the guest so that it exits; run again, it repeats the write.
         */
        LONG_USER,
        /**
         * A multiboot version 1 kernel as an ELF image of one segment: 32-bit protected mode without paging, EAX 0x2badb002, EBX the
         * address of the multiboot information. Its stack lies in the segment, behind what the file holds.
         */
        MULTIBOOT
    }

    /** The port that ends a program of {@link Mode#MULTIBOOT}: the exit status of the monitor is {@code (value << 1) | 1}. */
    public static final int EXIT_PORT = 0xf4;

    /** What is written to {@link #EXIT_PORT} when all went well: exit status 33. */
    public static final int SUCCESS = 0x10;

    /** What is written to {@link #EXIT_PORT} when not: exit status 35. */
    public static final int FAILURE = 0x11;

    /** The GPA of the mailbox of {@link #WORKOUT}. */
    public static final long MAILBOX = 0x80000;

    /** Where {@link #WORKOUT} wants its device memory first. */
    public static final long FIRST_PLACE = 0xd0000000L;

    /** Where it wants it then. */
    public static final long SECOND_PLACE = 0xd0100000L;

    /** What it wants to find in it. */
    public static final int GREETING = 0x6d62d001;

    /** What {@link #REAL_PRINT} prints. */
    public static final String REAL_PRINT_TEXT = "Hello from real mode.\n";

    private final Mode mode;

    GuestProgram(Mode mode) {
        this.mode = mode;
    }

    /** The name of the program's source and resource, for example {@code user-reader}. */
    public String id() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /** How the program is started. */
    public Mode mode() {
        return mode;
    }

    /** The GPA of the first byte of {@link #bytes()}; of an ELF image too, whose one segment begins with its headers. */
    public long loadAddress() {
        return mode == Mode.MULTIBOOT ? 0x100000 : 0x8000;
    }

    /** The GPA at which the processor starts. */
    public long entry() {
        if (mode != Mode.MULTIBOOT) {
            return loadAddress();
        }
        // e_entry, at the same place in ELF32 and ELF64; below 4 GiB in both.
        return Integer.toUnsignedLong(
                ByteBuffer.wrap(bytes()).order(ByteOrder.LITTLE_ENDIAN).getInt(24));
    }

    /** The name of the resource, which is also the name of the file that the sources are assembled into. */
    public String fileName() {
        return id() + (mode == Mode.MULTIBOOT ? ".elf" : ".bin");
    }

    /**
     * The program, a new array at every call.
     *
     * @throws UncheckedIOException if the resource cannot be read, which is a broken bundle
     */
    public byte[] bytes() {
        try (InputStream in = GuestProgram.class.getResourceAsStream("/guests/" + fileName())) {
            if (in == null) {
                throw new IOException("guest program " + fileName() + " is not in this bundle");
            }
            return in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * The 64-bit word that {@link #USER_PATTERN} keeps at an address.
     *
     * @param gpa guest-physical address, a multiple of 8
     * @param seed the program's RDX
     */
    public static long patternAt(long gpa, long seed) {
        return (gpa * 0x9e3779b97f4a7c15L) ^ seed;
    }

    /**
     * What {@link #USER_MIGRANT} has as digest after a number of laps: a lap lost, repeated or out of order gives another.
     *
     * @param laps 0 or more; the time it takes is proportional to it, about a second for 10^9
     */
    public static long migrantDigest(long laps) {
        long digest = 0;
        for (long lap = 0; lap < laps; lap++) {
            digest = Long.rotateLeft(digest + lap * 0x9e3779b97f4a7c15L, 7);
        }
        return digest;
    }
}
