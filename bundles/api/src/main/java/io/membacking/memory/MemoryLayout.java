package io.membacking.memory;

import io.membacking.error.Failure;
import io.membacking.error.LayoutException;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Where a guest has RAM and where it has none: RAM ranges, MMIO gaps and perhaps a VTL2 range, all disjoint. Immutable. */
public final class MemoryLayout {
    private final List<RamRange> ram;
    private final List<MemoryRange> mmio;
    private final @Nullable MemoryRange vtl2;

    private MemoryLayout(List<RamRange> ram, List<MemoryRange> mmio, @Nullable MemoryRange vtl2) {
        this.ram = List.copyOf(ram);
        this.mmio = List.copyOf(mmio);
        this.vtl2 = vtl2;
    }

    /**
     * A layout.
     *
     * @param ram in ascending order, at least one
     * @param mmio gaps in any order
     * @param vtl2 RAM for VTL2 alone by convention; every VTL sees it
     * @throws LayoutException naming the two ranges that clash or are out of order
     */
    public static MemoryLayout of(List<RamRange> ram, List<MemoryRange> mmio, Optional<MemoryRange> vtl2)
            throws LayoutException {
        if (ram.isEmpty()) {
            throw new LayoutException(
                    Failure.of("lay out memory", null, "there is no RAM", "give at least one RAM range"));
        }
        for (int i = 1; i < ram.size(); i++) {
            MemoryRange before = ram.get(i - 1).range();
            MemoryRange range = ram.get(i).range();
            if (!before.overlaps(range) && before.compareTo(range) > 0) {
                throw new LayoutException(Failure.of(
                        "lay out memory",
                        range,
                        "RAM comes after the higher RAM " + before,
                        "give RAM ranges in ascending order"));
            }
        }
        List<Named> all = new ArrayList<>();
        ram.forEach(r -> all.add(new Named("RAM", r.range())));
        mmio.forEach(r -> all.add(new Named("MMIO gap", r)));
        vtl2.ifPresent(r -> all.add(new Named("VTL2 RAM", r)));
        all.sort(Comparator.comparing(Named::range));
        for (int i = 1; i < all.size(); i++) {
            Named before = all.get(i - 1);
            Named next = all.get(i);
            if (before.range().overlaps(next.range())) {
                throw new LayoutException(Failure.of(
                        "lay out memory",
                        next.range(),
                        next.kind() + " overlaps " + before.kind() + " " + before.range(),
                        "make the ranges disjoint"));
            }
        }
        return new MemoryLayout(ram, mmio, vtl2.orElse(null));
    }

    /** RAM from 0 on, without a gap. @param size bytes */
    public static MemoryLayout flat(long size) throws LayoutException {
        return of(List.of(RamRange.of(MemoryRange.ofLength(0, size))), List.of(), Optional.empty());
    }

    public List<RamRange> ram() {
        return ram;
    }

    public List<MemoryRange> mmio() {
        return mmio;
    }

    public Optional<MemoryRange> vtl2() {
        return Optional.ofNullable(vtl2);
    }

    /** Bytes of RAM, VTL2's among them. */
    public long ramSize() {
        long size = vtl2 == null ? 0 : vtl2.length();
        for (RamRange range : ram) {
            size += range.range().length();
        }
        return size;
    }

    /** The larger of the end of RAM or MMIO and the end of VTL2: where the VA space ends. */
    public long end() {
        long end = ram.get(ram.size() - 1).range().end();
        for (MemoryRange gap : mmio) {
            end = Long.compareUnsigned(gap.end(), end) > 0 ? gap.end() : end;
        }
        return vtl2 != null && Long.compareUnsigned(vtl2.end(), end) > 0 ? vtl2.end() : end;
    }

    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof MemoryLayout that
                && ram.equals(that.ram)
                && mmio.equals(that.mmio)
                && Objects.equals(vtl2, that.vtl2);
    }

    @Override
    public int hashCode() {
        return Objects.hash(ram, mmio, vtl2);
    }

    @Override
    public String toString() {
        return "RAM " + ram.stream().map(r -> r.range().toString()).toList() + " MMIO " + mmio
                + (vtl2 == null ? "" : " VTL2 " + vtl2);
    }

    private record Named(String kind, MemoryRange range) {}
}
