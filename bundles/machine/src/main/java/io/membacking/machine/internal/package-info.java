/**
 * A small PC: its devices, its images and its exit handler. The first client of the API, with nothing behind the API's back.
 *
 * <p>What the guest finds:
 *
 * <table>
 * <caption>Memory</caption>
 * <tr><td>0x0-0xa0000</td><td>RAM</td></tr>
 * <tr><td>0xa0000-0xc0000</td><td>nothing: the RAM there is hidden, as behind a graphics card</td></tr>
 * <tr><td>0xc0000-0x100000</td><td>13 PAM segments of RAM, hidden at first; the end of the ROM shows in the last 128 KiB beneath
 *     them</td></tr>
 * <tr><td>0x100000-0xc0000000</td><td>RAM, as far as it goes</td></tr>
 * <tr><td>0xc0000000-0x100000000</td><td>nothing, but the ROM at the very end</td></tr>
 * <tr><td>0x100000000-</td><td>the rest of RAM</td></tr>
 * </table>
 *
 * <p>The ROM is device memory (priority 0) and RAM lies above it (priority 255), so hiding a segment of RAM is what shows the ROM.
 * A PAM segment is read-write, read-only, or hidden. The fourth setting (reads from ROM, writes to RAM: how old firmware copies
 * itself) keeps the segment hidden, and each write exits and is carried to the RAM beneath.
 *
 * <p>Ports: PIC, I/O APIC and local APICs are the partition's, if the machine has them; 0x40 PIT, 0x3f8 serial, 0x402 debug console,
 * 0x510 fw_cfg, 0x70 CMOS, 0xcf8 PCI, 0xf4 exit, 0x61, 0x64, 0x80, 0x92, 0xb2 and the power management of PIIX4 at the base that
 * firmware gives it. All else reads as all ones, drops writes, and is counted.
 *
 * <p>Time: timer, PM timer and real time clock follow the host's clocks at every moment, also while the guest is moved or parked; the
 * interrupts of the timer that fall due then come afterwards, all of them ({@link io.membacking.machine.internal.Pit}).
 *
 * <p>A guest ends its run through the exit port with code {@code (value << 1) | 1}, by switching itself off with
 * {@link io.membacking.machine.internal.RunEnd#POWER_OFF}, and by asking for a reset with
 * {@link io.membacking.machine.internal.RunEnd#RESET}.
 *
 * <p>Each device is a plain object that guards its own state, and is tested without a hypervisor. Nothing here knows a backend,
 * a region or a host address.
 */
@NullMarked
package io.membacking.machine.internal;

import org.jspecify.annotations.NullMarked;
