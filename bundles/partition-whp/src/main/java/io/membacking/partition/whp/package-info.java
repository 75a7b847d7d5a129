/**
 * The Windows Hypervisor Platform backend: partitions, ranges and processors by way of {@code WinHvPlatform.dll}.
 *
 * <p>What lives here: the platform's interface as numbers ({@link io.membacking.partition.whp.WhpAbi}), its calls behind one seam
 * ({@link io.membacking.partition.whp.WhpCalls}), the book of ranges, the translation of exits and registers, and the emulation of
 * the one instruction that met a device ({@code emulation}): the platform tells where an instruction went, never what it wanted.
 * Nothing comes in but the API and JNA. No thread is made here, no JNA Structure or Callback is subclassed, and nothing outlives the
 * backend.
 *
 * <p>It depends on nothing that descriptions of the platform disagree about:
 *
 * <ul>
 *   <li>a range is never mapped over another: overlaps are refused from the book, before the platform is asked;
 *   <li>a part of a range is unmapped only where the platform says that it can;
 *   <li>an exit for memory that is mapped asks for it to be populated, and the access is tried again, a bounded number of times;
 *   <li>a cancel may be remembered by the platform or not: it is repeated until the guest is left, and one too many is not seen;
 *   <li>RIP is on the instruction that exited or behind it: a probe tells which, and it is put back;
 *   <li>vector registers come in the standard form or the compacted one, and go back in the form they came in;
 *   <li>host memory that changes beneath a range is not followed: who changes it unmaps and maps;
 *   <li>asking for written pages may take them back or not: they are never lost, at worst told twice.
 * </ul>
 *
 * <p>The emulation reads and writes guest memory at the host address of its mapping, which is valid until it is unmapped here, and
 * not through the mapping's safe view: an access through that may wait for a commit, and a commit waits for this processor.
 *
 * <p>Where the platform lets only one partition of a process have memory, the second one's goes through a surrogate of its own, unasked:
 * a suspended process that holds views of the same sections ({@link io.membacking.partition.whp.Surrogates}), started when the first
 * range is refused and ended with the last. It needs to know what holds each range
 * ({@link io.membacking.partition.PartitionMapping#source()}); private memory, or memory of several backings in one range, is refused
 * with the rule by name. A process that the caller gives is used in the same way, and is the caller's to end.
 *
 * <p>What the interface has no place for, and what becomes of it: whether an interrupt shadow is that of STI or of MOV SS (it comes
 * back as STI's); whether an interrupt under way is a software one (it is delivered as a hardware one); how many NMIs wait beside
 * the one under way (one is delivered, others are forgotten); CPUID leaves with an index, before Windows 11 (the platform's own are
 * shown).
 */
@NullMarked
@Requirement(namespace = "osgi.native", filter = "(osgi.native.osname~=win32)")
package io.membacking.partition.whp;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Requirement;
