package io.membacking.partition;

import java.util.Map;

/**
 * What a backend can do; also service properties under the names of the constants.
 *
 * @param readOnlyMemory memory that reads hit and writes exit from
 * @param partialUnmap whether a part of what one map call gave can be unmapped
 * @param atomicReplace whether mapping over what is mapped replaces it without a moment in between
 * @param followsHostRemapping whether the guest sees at once what is newly mapped at the host address of a mapped range
 * @param prefetch whether the partition's own tables can be populated
 * @param pin whether memory can be pinned in the partition's own tables
 * @param dirtyLog whether it can tell which pages the guest wrote
 * @param remoteProcess whether memory of another process can be mapped
 * @param exactRip whether the instruction pointer of a memory exit is always that of the accessing instruction
 * @param interruptControllers whether partitions can have them
 * @param trace whether it can write what its processors do to a file
 * @param processors whether it runs x86-64 processors on this host
 * @param physicalAddressWidth bits
 * @param maxMappings the most ranges a partition can hold
 * @param stateFormat the form of its {@link PlatformState}: between two backends with the same one everything of a guest carries
 *     over, between others only what is portable
 */
public record Capabilities(
        boolean readOnlyMemory,
        boolean partialUnmap,
        boolean atomicReplace,
        boolean followsHostRemapping,
        boolean prefetch,
        boolean pin,
        boolean dirtyLog,
        boolean remoteProcess,
        boolean exactRip,
        boolean interruptControllers,
        boolean trace,
        boolean processors,
        int physicalAddressWidth,
        int maxMappings,
        String stateFormat) {
    public static final String READ_ONLY_MEMORY = "membacking.read-only-memory";
    public static final String PARTIAL_UNMAP = "membacking.partial-unmap";
    public static final String ATOMIC_REPLACE = "membacking.atomic-replace";
    public static final String FOLLOWS_HOST_REMAPPING = "membacking.follows-host-remapping";
    public static final String PREFETCH = "membacking.prefetch";
    public static final String PIN = "membacking.pin";
    public static final String DIRTY_LOG = "membacking.dirty-log";
    public static final String REMOTE_PROCESS = "membacking.remote-process";
    public static final String EXACT_RIP = "membacking.exact-rip";
    public static final String INTERRUPT_CONTROLLERS = "membacking.interrupt-controllers";
    public static final String TRACE = "membacking.trace";
    public static final String PROCESSORS = "membacking.processors";
    public static final String PHYSICAL_ADDRESS_WIDTH = "membacking.physical-address-width";
    public static final String MAX_MAPPINGS = "membacking.max-mappings";
    public static final String STATE_FORMAT = "membacking.state-format";

    /** These capabilities as service properties. */
    public Map<String, Object> asProperties() {
        return Map.ofEntries(
                Map.entry(READ_ONLY_MEMORY, readOnlyMemory),
                Map.entry(PARTIAL_UNMAP, partialUnmap),
                Map.entry(ATOMIC_REPLACE, atomicReplace),
                Map.entry(FOLLOWS_HOST_REMAPPING, followsHostRemapping),
                Map.entry(PREFETCH, prefetch),
                Map.entry(PIN, pin),
                Map.entry(DIRTY_LOG, dirtyLog),
                Map.entry(REMOTE_PROCESS, remoteProcess),
                Map.entry(EXACT_RIP, exactRip),
                Map.entry(INTERRUPT_CONTROLLERS, interruptControllers),
                Map.entry(TRACE, trace),
                Map.entry(PROCESSORS, processors),
                Map.entry(PHYSICAL_ADDRESS_WIDTH, physicalAddressWidth),
                Map.entry(MAX_MAPPINGS, maxMappings),
                Map.entry(STATE_FORMAT, stateFormat));
    }
}
