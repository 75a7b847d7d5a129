package io.membacking.memory.internal;

import io.membacking.error.BuildException;
import io.membacking.error.Failure;
import io.membacking.error.LayoutException;
import io.membacking.host.Backing;
import io.membacking.host.BackingKind;
import io.membacking.host.HostCapabilities;
import io.membacking.memory.BackingChoice;
import io.membacking.memory.MemoryLayout;
import io.membacking.memory.RamRange;
import io.membacking.memory.internal.BuildPlan.Placement;
import io.membacking.memory.internal.BuildPlan.PlannedBacking;
import io.membacking.memory.internal.BuildRequest.Own;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Decides what a guest's memory is made of, and refuses what cannot be. Pure: the host is asked nothing beyond what its
 * capabilities say, and nothing is allocated. What only the host can tell (a shortage, a claim) is refused when it is done.
 */
final class BuildPlanner {
    private static final long MIB = 1L << 20;

    /** VGA memory, then option ROMs and extension in pieces of 16 KiB, system BIOS: the i440fx's PAM segments. */
    private static final long VGA = 0xa0000;

    private static final long PAM = 0xc0000;
    private static final long PAM_SEGMENT = 0x4000;
    private static final long BIOS = 0xf0000;

    private final BuildRequest request;
    private final HostCapabilities host;
    private final String operation;
    private final List<MemoryRange> ram = new ArrayList<>();

    private BuildPlanner(BuildRequest request, HostCapabilities host) {
        this.request = request;
        this.host = host;
        operation = "build the memory of guest '" + request.guest() + "'";
        request.layout().ram().stream().map(RamRange::range).forEach(ram::add);
        request.layout().vtl2().ifPresent(ram::add);
    }

    /**
     * Makes the plan.
     *
     * @throws LayoutException if the alias offset or x86 legacy support does not go with the layout
     * @throws BuildException if choices exclude each other or this host cannot satisfy them
     */
    static BuildPlan plan(BuildRequest request, HostCapabilities host) throws LayoutException, BuildException {
        return new BuildPlanner(request, host).plan();
    }

    private BuildPlan plan() throws LayoutException, BuildException {
        MemoryLayout layout = request.layout();
        checkAddresses(layout);
        checkAlias(layout);
        checkLegacy(layout);

        Map<MemoryRange, Integer> chosen = ownRanges();
        List<BackingChoice> choices = new ArrayList<>();
        boolean rest = chosen.size() < ram.size();
        if (rest) {
            choices.add(request.choice());
        } else if (request.choice().existing().isPresent()) {
            throw refused(null, "the backing to adopt has no RAM left: other choices name all of it", "leave it out");
        }
        request.own().forEach(own -> choices.add(own.choice()));

        long[] filled = new long[choices.size()];
        List<Placement> ranges = new ArrayList<>();
        for (MemoryRange range : ram) {
            int backing = chosen.containsKey(range) ? chosen.get(range) + (rest ? 1 : 0) : 0;
            ranges.add(new Placement(range, backing, filled[backing]));
            filled[backing] += range.length();
        }
        List<PlannedBacking> backings = new ArrayList<>();
        for (int i = 0; i < choices.size(); i++) {
            String name = request.guest() + "-ram" + (choices.size() == 1 ? "" : i);
            backings.add(new PlannedBacking(name, choices.get(i), filled[i]));
        }
        List<Placement> regions = new ArrayList<>();
        ranges.forEach(placement -> regions.addAll(split(placement)));

        for (int i = 0; i < backings.size(); i++) {
            checkChoice(backings.get(i), i, ranges, regions);
        }
        checkAdoptedOnce(backings);
        checkMemory(backings);
        return new BuildPlan(
                request.guest(),
                layout,
                layout.end(),
                request.aliasMapOffset(),
                request.pinning(),
                backings,
                ranges,
                regions);
    }

    private void checkAddresses(MemoryLayout layout) throws BuildException {
        long end = layout.end();
        if (host.addressBits() < Long.SIZE && (end - 1) >>> host.addressBits() != 0) {
            throw refused(
                    null,
                    "the layout ends at 0x" + Long.toHexString(end) + ", and this processor's physical addresses have "
                            + host.addressBits() + " bits, to 0x" + Long.toHexString(1L << host.addressBits()),
                    "lay it out lower");
        }
    }

    private void checkAlias(MemoryLayout layout) throws LayoutException {
        if (request.aliasMapOffset().isEmpty()) {
            return;
        }
        long offset = request.aliasMapOffset().getAsLong();
        if (!MemoryRange.isAligned(offset)) {
            throw new LayoutException(Failure.of(
                    operation,
                    null,
                    "the alias map offset 0x" + Long.toHexString(offset) + " is not page aligned",
                    "give a multiple of " + MemoryRange.PAGE_SIZE));
        }
        if (Long.compareUnsigned(offset, layout.end()) < 0) {
            throw new LayoutException(Failure.of(
                    operation,
                    null,
                    "the alias map offset 0x" + Long.toHexString(offset) + " is below the end of the layout, 0x"
                            + Long.toHexString(layout.end()),
                    "give the end or more"));
        }
    }

    private void checkLegacy(MemoryLayout layout) throws LayoutException {
        if (request.x86LegacySupport() && !holdsLegacy(layout.ram().get(0).range())) {
            throw new LayoutException(Failure.of(
                    operation,
                    layout.ram().get(0).range(),
                    "x86 legacy support needs a RAM range that starts at 0 and holds at least 1 MiB",
                    "start the first RAM range at 0 or leave x86 legacy support out"));
        }
    }

    private static boolean holdsLegacy(MemoryRange range) {
        return range.start() == 0 && Long.compareUnsigned(range.end(), MIB) >= 0;
    }

    /** Which own choice has each range. */
    private Map<MemoryRange, Integer> ownRanges() throws BuildException {
        Map<MemoryRange, Integer> chosen = new HashMap<>();
        for (int i = 0; i < request.own().size(); i++) {
            Own own = request.own().get(i);
            for (MemoryRange range : new TreeSet<>(own.ranges())) {
                if (!ram.contains(range)) {
                    throw refused(
                            range,
                            "a backing is chosen for what is no RAM range of the layout",
                            "name whole RAM ranges; there are " + ram);
                }
                if (chosen.put(range, i) != null) {
                    throw refused(range, "two backings are chosen for it", "choose one");
                }
            }
        }
        return chosen;
    }

    private List<Placement> split(Placement placement) {
        MemoryRange range = placement.range();
        if (!request.x86LegacySupport() || !holdsLegacy(range)) {
            return List.of(placement);
        }
        List<Placement> parts = new ArrayList<>();
        long start = 0;
        for (long point : splitPoints(range.end())) {
            parts.add(new Placement(new MemoryRange(start, point), placement.backing(), placement.offset() + start));
            start = point;
        }
        return parts;
    }

    private static List<Long> splitPoints(long end) {
        List<Long> points = new ArrayList<>();
        points.add(VGA);
        for (long point = PAM; point <= BIOS; point += PAM_SEGMENT) {
            points.add(point);
        }
        points.add(MIB);
        if (end != MIB) {
            points.add(end);
        }
        return points;
    }

    private void checkChoice(PlannedBacking planned, int index, List<Placement> ranges, List<Placement> regions)
            throws BuildException {
        BackingChoice choice = planned.choice();
        Backing existing = choice.existingOrNull();
        boolean splits = regions.stream().filter(r -> r.backing() == index).count()
                > ranges.stream().filter(r -> r.backing() == index).count();
        if (choice.kind() == BackingKind.PRIVATE) {
            checkPrivate(choice, splits);
        }
        if (existing != null) {
            checkExisting(planned, existing);
        }
        long pageSize = pageSize(choice);
        if (choice.transparentHugePages() && choice.kind() == BackingKind.HUGETLB) {
            throw refused(null, "hugetlb memory cannot have transparent huge pages", "choose one of them");
        }
        if (splits && pageSize > host.pageSize()) {
            throw refused(
                    null,
                    "hugetlb memory of " + Size.of(pageSize) + " pages cannot be split for x86 legacy support",
                    "give the RAM that starts at 0 a backing of its own without huge pages");
        }
        for (Placement region : regions) {
            if (region.backing() == index && !isMultiple(region, pageSize)) {
                throw refused(
                        region.range(),
                        "RAM is not aligned to its pages of " + Size.of(pageSize),
                        "align its start and its size, or choose smaller pages");
            }
        }
        for (Placement range : ranges) {
            if (range.backing() == index && !isMultiple(range, host.mappingGranularity())) {
                throw refused(
                        range.range(),
                        "this host maps multiples of " + Size.of(host.mappingGranularity())
                                + " only, and RAM is not aligned to them",
                        "align its start and its size");
            }
        }
        if (choice.hostNode().isPresent()
                && !host.numaNodes().contains(choice.hostNode().getAsInt())) {
            throw refused(
                    null,
                    "this host has no NUMA node " + choice.hostNode().getAsInt(),
                    "choose one of " + new TreeSet<>(host.numaNodes()));
        }
    }

    private static boolean isMultiple(Placement region, long pageSize) {
        return ((region.range().start() | region.range().end() | region.offset()) & (pageSize - 1)) == 0;
    }

    private void checkPrivate(BackingChoice choice, boolean splits) throws BuildException {
        if (choice.existing().isPresent()) {
            throw refused(null, "private memory cannot be adopted: it lives in one VA space alone", "share it");
        }
        if (choice.hugePageSize() != 0) {
            throw refused(null, "hugetlb memory cannot be private", "choose one of them");
        }
        if (splits) {
            throw refused(
                    null,
                    "private memory cannot be split for x86 legacy support: what device memory displaces would be lost",
                    "choose shared memory for the RAM that starts at 0");
        }
    }

    private void checkExisting(PlannedBacking planned, Backing existing) throws BuildException {
        BackingChoice choice = planned.choice();
        String name = "the existing backing '" + existing.name() + "'";
        if (existing.kind() == BackingKind.PRIVATE) {
            throw refused(null, name + " is private memory, which lives in one VA space alone", "share it");
        }
        if (choice.hugePageSize() != 0) {
            throw refused(null, "hugetlb memory cannot be asked for with " + name, "it has the pages it has");
        }
        if (choice.kind() != existing.kind()) {
            throw refused(null, name + " is " + existing.kind() + ", not " + choice.kind(), "choose its kind");
        }
        if (choice.transparentHugePages() || choice.hostNode().isPresent()) {
            throw refused(
                    null,
                    name + " has its memory already: it cannot be given a NUMA node or transparent huge pages",
                    "choose them where it is allocated");
        }
        if (Long.compareUnsigned(existing.size(), planned.size()) < 0) {
            throw refused(
                    null,
                    name + " holds " + Size.of(existing.size()) + " and the RAM takes " + Size.of(planned.size()),
                    "lay out less RAM");
        }
    }

    /** The size of a page of what is chosen, checked where it is asked for. */
    private long pageSize(BackingChoice choice) throws BuildException {
        if (choice.existing().isPresent()) {
            return Math.max(host.pageSize(), choice.existing().get().pageSize());
        }
        long size = choice.hugePageSize();
        if (choice.kind() != BackingKind.HUGETLB) {
            if (size != 0) {
                throw refused(
                        null,
                        "a page size of " + Size.of(size) + " is given for memory that is not hugetlb",
                        "choose hugetlb or no page size");
            }
            return host.pageSize();
        }
        if (Long.bitCount(size) != 1 || size < 0) {
            throw refused(null, "the huge page size " + size + " is no power of two", "choose one of " + pools());
        }
        if (size < host.pageSize()) {
            throw refused(
                    null,
                    "the huge page size " + Size.of(size) + " is below the host's page, " + Size.of(host.pageSize()),
                    "choose one of " + pools());
        }
        if (!host.hugePageSizes().contains(size)) {
            throw refused(
                    null,
                    "this host has no pool of huge pages of " + Size.of(size),
                    "choose one of " + pools() + " or set up the pool");
        }
        return size;
    }

    private List<String> pools() {
        return new TreeSet<>(host.hugePageSizes()).stream().map(Size::of).toList();
    }

    private void checkAdoptedOnce(List<PlannedBacking> backings) throws BuildException {
        Set<Long> adopted = new HashSet<>();
        for (PlannedBacking planned : backings) {
            Backing existing = planned.choice().existingOrNull();
            if (existing != null && !adopted.add(existing.id())) {
                throw refused(
                        null,
                        "the existing backing '" + existing.name() + "' is chosen twice",
                        "name all its ranges in one choice");
            }
        }
    }

    private void checkMemory(List<PlannedBacking> backings) throws BuildException {
        long allocated = 0;
        for (PlannedBacking planned : backings) {
            allocated += planned.choice().existing().isPresent() ? 0 : planned.size();
        }
        if (Long.compareUnsigned(allocated, host.physicalMemory()) > 0) {
            throw refused(
                    null,
                    "it takes " + Size.of(allocated) + " of RAM and this host has " + Size.of(host.physicalMemory()),
                    "lay out less RAM");
        }
    }

    private BuildException refused(@Nullable MemoryRange range, String problem, String remedy) {
        return new BuildException(Failure.of(operation, range, problem, remedy));
    }
}
