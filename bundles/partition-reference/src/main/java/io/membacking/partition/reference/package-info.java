/**
 * The reference backend: a hypervisor in Java alone. It says by running what a backend has to do, it is what guests run on where there
 * is no hypervisor, and guests are moved into it to be traced. Slow: some fifty million instructions a second when the JVM has compiled
 * it, thirty-five at first, three and a half with a trace. (What gcc makes of {@code native/guests/c/integers.c} at -O2 and at -O0,
 * 3.7 and 7.1 million instructions as a trace counts them: medians of 40 runs 52.7 and 53.3, after 20 runs; a loop of four instructions
 * 53 to 59. JDK 17, one processor, the guest's real memory. The loop is in {@code ReferenceRateTest} of the partition manager.)
 *
 * <h2>Memory</h2>
 *
 * A partition's memory is one immutable table of ranges ({@code SecondLevelTable}). A processor reaches it through the safe view that
 * came with each mapping, never by a host address, so that nothing it does can harm the JVM, and what the host maps newly is seen at
 * once. An access to a piece that a commit is changing waits for the commit; processors that a commit holds are out of the guest
 * before it begins.
 *
 * <h2>Processors</h2>
 *
 * An instruction is carried out whole or not at all. One that needs the monitor is begun again with the answer, until it needs nothing
 * more: what it had so far ({@code Exchange}) is all the state there is in the middle of it. {@code Decoder}, {@code Alu} and
 * {@code PageWalk} are pure.
 *
 * <table>
 * <caption>The subset of x86-64</caption>
 * <tr><th>of</th><th>carried out</th><th>not</th></tr>
 * <tr><td>modes</td><td>real, protected with 16 and 32 bits, long and its compatibility mode</td><td>virtual-8086, system
 * management, virtualization</td></tr>
 * <tr><td>paging</td><td>none, 32-bit with 4 MiB pages, PAE, four and five levels with 2 MiB and 1 GiB pages; accessed and dirty bits,
 * no-execute, write protection, SMEP, SMAP; INVLPG and loads of control registers forget all translations</td><td>protection keys,
 * process-context identifiers (they are ignored), control-flow enforcement; PAE's four pointers are read at every use</td></tr>
 * <tr><td>segments</td><td>bases, limits and access rights; loads with all checks; far jumps, calls and returns, with a change of
 * privilege too; LAR, LSL, VERR, VERW</td><td>call gates, task gates, task switches, ARPL</td></tr>
 * <tr><td>integers</td><td>moves, arithmetic, logic, shifts, rotates, bit tests, searches and counts, decimal adjustment, BSWAP, MOVBE,
 * CMOVcc, SETcc, XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B, string instructions, ENTER and LEAVE</td><td>BMI1 but for TZCNT, BMI2, ADX,
 * CRC32, RDRAND, RDSEED, transactions</td></tr>
 * <tr><td>exceptions and interrupts</td><td>delivery in every mode, with stack switches and interrupt stacks, double and triple faults;
 * INT n, INT3, INTO, BOUND, IRET; single steps; what is pending in a state that was set</td><td>interrupt controllers, breakpoints of
 * the debug registers, alignment checks</td></tr>
 * <tr><td>system</td><td>control and debug registers, LGDT, LIDT, LLDT, LTR and their stores, SYSCALL, SYSRET, SWAPGS, RDMSR, WRMSR,
 * CPUID, RDTSC, RDTSCP, XGETBV, FS and GS base instructions, HLT, fences</td><td>SYSENTER, SYSEXIT, XSETBV, XSAVE and its kin, RDPMC,
 * MONITOR</td></tr>
 * <tr><td>x87, MMX, SSE, AVX</td><td>the exceptions for those that are switched off; the registers are held and given back</td><td>every
 * instruction</td></tr>
 * </table>
 *
 * What is not carried out is an emulation failure, with the registers as before it. Flags that the architecture leaves undefined are
 * as on most Intel processors where that is easy. Where Intel's processors and AMD's differ, it does as Intel's: near branches in
 * 64-bit code ignore the operand-size prefix, LOOPE and LOOPNE ignore repeat prefixes, and a repeated NOP is PAUSE whatever REX says.
 *
 * <p>CPUID answers as the partition's model says, even where that has more than the subset: a guest that came from elsewhere keeps its
 * processor. The model of a guest that begins here has less than the subset, so that it can go to any hypervisor: long mode,
 * no-execute, SYSCALL, CMPXCHG16B, LAHF, and physical addresses of 39 bits, but not POPCNT, MOVBE, LZCNT, RDTSCP or 1 GiB pages,
 * though these are carried out. Bits of CR4 and EFER are there if the model has them. The time-stamp counter of such a guest runs at
 * 1 GHz here, and elsewhere as it does there.
 *
 * <p>Locked instructions are atomic where their operand lies within eight aligned bytes. Others, CMPXCHG16B among them, are atomic
 * only among the processors of one partition.
 *
 * <h2>Traces</h2>
 *
 * A line for each event, in the order of each processor, first of all its number: {@code i} rip, bytes and mnemonic of an
 * instruction; {@code r} and {@code w} linear address, guest-physical address, size and value of an access to memory; {@code in} and
 * {@code out} port, size and value; {@code e} an exception or interrupt delivered.
 *
 * <p>Nothing comes in but the API. No thread is made here.
 */
@NullMarked
package io.membacking.partition.reference;

import org.jspecify.annotations.NullMarked;
