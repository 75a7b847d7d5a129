package io.membacking.partition.whp.emulation;

import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** The registers that an instruction may use, and how the processor is set up. Numbers are those of the instruction format. */
public final class Cpu {
    public static final int RAX = 0;
    public static final int RCX = 1;
    public static final int RDX = 2;
    public static final int RBX = 3;
    public static final int RSP = 4;
    public static final int RBP = 5;
    public static final int RSI = 6;
    public static final int RDI = 7;

    public static final int ES = 0;
    public static final int CS = 1;
    public static final int SS = 2;
    public static final int DS = 3;
    public static final int FS = 4;
    public static final int GS = 5;

    static final long CR0_PE = 1;
    static final long CR0_WP = 1L << 16;
    static final long CR0_PG = 1L << 31;
    static final long CR4_PSE = 1 << 4;
    static final long CR4_PAE = 1 << 5;
    static final long CR4_LA57 = 1 << 12;
    static final long CR4_SMAP = 1 << 21;
    static final long EFER_LMA = 1 << 10;
    static final long EFER_NXE = 1 << 11;
    private static final long VM86 = 1 << 17;
    private static final int ATTRIBUTE_LONG = 1 << 13;
    private static final int ATTRIBUTE_BIG = 1 << 14;

    /** Where XMM registers come from: they are asked for only by the few instructions that move them. */
    public interface Vectors {
        /** The lower and the upper half of an XMM register; null if it cannot be told. */
        long @Nullable [] read(int number);
    }

    public final long[] general = new long[16];
    public long rip;
    public long rflags;
    public final long[] bases = new long[6];
    public final int[] selectors = new int[6];
    public int csAttributes;
    public int ssAttributes;
    public long cr0;
    public long cr3;
    public long cr4;
    public long efer;

    private final Vectors vectors;
    final Map<Integer, long[]> writtenVectors = new TreeMap<>();

    public Cpu(Vectors vectors) {
        this.vectors = vectors;
    }

    public Cpu copy() {
        Cpu copy = new Cpu(vectors);
        System.arraycopy(general, 0, copy.general, 0, general.length);
        copy.rip = rip;
        copy.rflags = rflags;
        System.arraycopy(bases, 0, copy.bases, 0, bases.length);
        System.arraycopy(selectors, 0, copy.selectors, 0, selectors.length);
        copy.csAttributes = csAttributes;
        copy.ssAttributes = ssAttributes;
        copy.cr0 = cr0;
        copy.cr3 = cr3;
        copy.cr4 = cr4;
        copy.efer = efer;
        return copy;
    }

    /** XMM registers that the instruction changed, by number. */
    public Map<Integer, long[]> writtenVectors() {
        return writtenVectors;
    }

    long[] vector(int number) {
        long[] written = writtenVectors.get(number);
        long[] vector = written != null ? written : vectors.read(number);
        if (vector == null) {
            throw new Interruption.NotCovered("register XMM" + number + " cannot be read");
        }
        return vector.clone();
    }

    boolean isVirtual86() {
        return (rflags & VM86) != 0;
    }

    /** Whether segments are those of protected mode, and not addresses by 16. */
    boolean isProtected() {
        return (cr0 & CR0_PE) != 0 && !isVirtual86();
    }

    /** 16, 32 or 64. */
    public int codeBits() {
        if (!isProtected()) {
            return 16;
        }
        if ((efer & EFER_LMA) != 0 && (csAttributes & ATTRIBUTE_LONG) != 0) {
            return 64;
        }
        return (csAttributes & ATTRIBUTE_BIG) != 0 ? 32 : 16;
    }

    /** Bytes of the stack pointer that count. */
    int stackAddressSize() {
        return codeBits() == 64 ? 8 : isProtected() && (ssAttributes & ATTRIBUTE_BIG) != 0 ? 4 : 2;
    }

    boolean isUser() {
        return isVirtual86() || (isProtected() && (ssAttributes >> 5 & 3) == 3);
    }

    /** The linear address of an offset in a segment. */
    long linear(int segment, long offset) {
        if (codeBits() == 64) {
            return segment == FS || segment == GS ? bases[segment] + offset : offset;
        }
        return bases[segment] + offset & 0xffffffffL;
    }

    /** Where the next instruction lies. */
    public long linearRip() {
        return linear(CS, rip);
    }
}
