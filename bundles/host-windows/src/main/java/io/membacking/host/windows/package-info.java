/**
 * Host memory on Windows: address space, committed sections and private memory, sharing by duplicated handles.
 *
 * <p>Everything that Windows is asked lives here, in {@code Win32} and the classes that use it; nothing here reads or writes a
 * guest's memory by its address, decides what is mapped, or knows of regions.
 *
 * <p>What is different from Linux:
 *
 * <ul>
 *   <li>What is empty in a reservation is inaccessible, before the first mapping and after the last: an access there ends the
 *       JVM. There is no second line behind the mapping manager's snapshot and epochs, which let no access to what is not held.
 *   <li>Nothing is replaced in place: for a moment the addresses are inaccessible, and so is what lies around them in a view that
 *       is cut, because views go as a whole ({@code WindowsReservation.disturbed}).
 *   <li>Where Windows has no placeholders (before Windows 10 1803, and Wine 8) views begin and end at multiples of 64 KiB. Its
 *       pages are as small as ever, so a guest's regions may be; what must be aligned is what is mapped in one piece, RAM from
 *       one backing as a whole. The host reports it as granularity, and refuses maps that are aligned to less by name. See
 *       {@code RetakenAddresses} for what can go wrong there.
 *   <li>A section is charged against the commit limit when it is made, so accesses to it never fail for want of memory.
 *   <li>FlushProcessWriteBuffers serves as barrier for all threads, but not on Wine, where (8 and 10) it does nothing: there this
 *       host says it has none, and readers fence for themselves.
 * </ul>
 *
 * <p>Known holes:
 *
 * <ul>
 *   <li>Windows does not tell which section a view is of, nor which part: what is observed is checked for being there and for
 *       beginning where it should, not for being the right one.
 *   <li>Windows does not tell the width of a physical address; 48 bits are reported. Partitions know their own.
 *   <li>A NUMA node is a preference here, never a must. Hosts with several have not been tried.
 *   <li>Large pages have been refused by every system this was run on; that they work has not been seen.
 *   <li>What is left of a cut view is mapped again at once, and what was locked of it locked again. Should Windows refuse (it has
 *       just freed what it needs for it) there is no way back: it is logged and observed as gone.
 *   <li>A process that offers backings and ends before it could name the handles leaves them open in the receiver until that ends.
 *   <li>Two claims at the very same moment, one just refused and one just closed, can refuse a third that came after both.
 * </ul>
 */
@org.jspecify.annotations.NullMarked
package io.membacking.host.windows;
