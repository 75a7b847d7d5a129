package io.membacking.machine.internal;

import io.membacking.machine.BootSource;
import io.membacking.machine.BootSource.Mode;
import io.membacking.machine.internal.LoadedImage.Piece;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.range.MemoryRange;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Turns a boot source into bytes at places and a start. Without a guest: what cannot be loaded is refused before anything is
 * allocated, with {@link IllegalArgumentException} that says what is wrong and what to do.
 *
 * <p>What the loader itself adds (tables, and for kernels the multiboot information) goes to 0x90000, or where the image is in
 * the way, to 0x1000, or behind the image. The stack begins at 0x90000, in real mode at 0x7000, and grows down; it is not
 * guarded against the image.
 */
final class ImageLoader {
    static final int MAX_FIRMWARE = 16 << 20;

    private static final int MULTIBOOT_BOOTED = 0x2badb002;
    private static final int MAX_COMMAND_LINE = 16 << 10;
    private static final String LOADER_NAME = "Membacking";
    private static final long STACK = 0x90000;
    private static final long REAL_STACK = 0x7000;
    private static final long REAL_LIMIT = 0x100000;

    private final PcMemory memory;

    ImageLoader(PcMemory memory) {
        this.memory = memory;
    }

    LoadedImage load(BootSource source) {
        if (source.image().length == 0) {
            throw new IllegalArgumentException("image " + source.name() + " is empty");
        }
        if (source instanceof BootSource.Firmware firmware) {
            return firmware(firmware);
        }
        if (source instanceof BootSource.Kernel kernel) {
            return kernel(kernel);
        }
        return flat((BootSource.Flat) source);
    }

    private static LoadedImage firmware(BootSource.Firmware firmware) {
        int length = firmware.image().length;
        if (length > MAX_FIRMWARE) {
            throw new IllegalArgumentException("firmware " + firmware.name() + " is too large: it has " + length
                    + " bytes, and " + MAX_FIRMWARE + " (16 MiB) is the most");
        }
        if (!MemoryRange.isAligned(length)) {
            throw new IllegalArgumentException("firmware " + firmware.name() + " has " + length
                    + " bytes, which is not a multiple of " + MemoryRange.PAGE_SIZE + "; pad it at its beginning");
        }
        return LoadedImage.RESET_VECTOR;
    }

    private LoadedImage flat(BootSource.Flat flat) {
        Piece image = Piece.of(flat.gpa(), flat.image());
        requireRam("flat binary " + flat.name(), image);
        if (flat.mode() == Mode.REAL && Long.compareUnsigned(flat.gpa(), REAL_LIMIT) >= 0) {
            throw new IllegalArgumentException("flat binary " + flat.name() + " cannot start in real mode at 0x"
                    + Long.toHexString(flat.gpa()) + "; give an address below 1 MiB");
        }
        if (Long.compareUnsigned(flat.gpa(), PcMemory.GAP_END) >= 0) {
            throw new IllegalArgumentException("flat binary " + flat.name() + " cannot start at 0x"
                    + Long.toHexString(flat.gpa()) + "; give an address below 4 GiB");
        }
        if (flat.mode() == Mode.REAL) {
            BootState state = new BootState(Mode.REAL, 0);
            return new LoadedImage(
                    List.of(image),
                    (reset, processor) ->
                            Optional.of(state.processor(reset, general(flat.gpa(), REAL_STACK, processor))));
        }
        BootState state = new BootState(
                flat.mode(), place("flat binary " + flat.name(), BootState.size(flat.mode()), List.of(image)));
        return new LoadedImage(
                List.of(image, Piece.of(state.gpa(), state.tables())),
                (reset, processor) -> Optional.of(state.processor(reset, general(flat.gpa(), STACK, processor))));
    }

    private LoadedImage kernel(BootSource.Kernel kernel) {
        Optional<MultibootHeader> header = MultibootHeader.find(kernel.name(), kernel.image());
        boolean elf = ElfImage.isElf(kernel.image());
        if (header.isEmpty() && !elf) {
            throw new IllegalArgumentException(
                    "kernel " + kernel.name()
                            + " is no multiboot version 1 kernel and no ELF file; give one of these, or load it as a flat binary");
        }
        List<Piece> pieces;
        long entry;
        Mode mode = Mode.PROTECTED;
        Optional<MultibootHeader.Addresses> addresses = header.flatMap(MultibootHeader::addresses);
        if (addresses.isPresent()) {
            pieces = List.of(byAddresses(kernel, header.get().offset(), addresses.get()));
            entry = addresses.get().entry();
        } else if (elf) {
            ElfImage image = ElfImage.parse(kernel.name(), kernel.image());
            pieces = image.segments();
            entry = image.entry();
            if (header.isEmpty() && image.is64()) {
                mode = Mode.LONG;
            }
        } else {
            throw ElfImage.bad(kernel.name(), "its multiboot header has no addresses and it is no ELF file");
        }
        if (Long.compareUnsigned(entry, PcMemory.GAP_END) >= 0) {
            throw ElfImage.bad(
                    kernel.name(),
                    "its entry point 0x" + Long.toHexString(entry) + " is not below 4 GiB; link it lower");
        }
        pieces.forEach(piece -> requireRam("kernel " + kernel.name(), piece));
        return withInformation(kernel, mode, entry, pieces);
    }

    private static Piece byAddresses(BootSource.Kernel kernel, int headerOffset, MultibootHeader.Addresses a) {
        long offset = headerOffset - (a.header() - a.load());
        long length = a.loadEnd() == 0 ? kernel.image().length - offset : a.loadEnd() - a.load();
        long size = a.bssEnd() == 0 ? length : a.bssEnd() - a.load();
        if (a.header() < a.load() || offset < 0 || length <= 0 || offset + length > kernel.image().length) {
            throw ElfImage.bad(
                    kernel.name(), "the addresses of its multiboot header do not fit the file: it is cut off");
        }
        if (size < length || a.entry() < a.load() || a.entry() >= a.load() + size) {
            throw ElfImage.bad(kernel.name(), "the addresses of its multiboot header contradict each other");
        }
        return new Piece(a.load(), kernel.image(), (int) offset, (int) length, size);
    }

    private LoadedImage withInformation(BootSource.Kernel kernel, Mode mode, long entry, List<Piece> pieces) {
        byte[] commandLine = kernel.commandLine().getBytes(StandardCharsets.UTF_8);
        if (commandLine.length > MAX_COMMAND_LINE) {
            throw new IllegalArgumentException("the command line for kernel " + kernel.name() + " has "
                    + commandLine.length + " bytes; " + MAX_COMMAND_LINE + " is the most");
        }
        int tablesSize = BootState.size(mode);
        int informationSize = information(0, commandLine).length;
        long gpa = place("kernel " + kernel.name(), tablesSize + informationSize, pieces);
        BootState state = new BootState(mode, gpa);
        long information = gpa + tablesSize;
        List<Piece> all = new ArrayList<>(pieces);
        all.add(Piece.of(gpa, state.tables()));
        all.add(Piece.of(information, information(information, commandLine)));
        // The multiboot registers, and for a 64-bit C function the same two as its first arguments.
        GeneralRegisters general = new GeneralRegisters(
                MULTIBOOT_BOOTED,
                information,
                0,
                0,
                information,
                MULTIBOOT_BOOTED,
                STACK,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                entry,
                2);
        // The others wait for the first to start them through its local APIC.
        return new LoadedImage(
                all,
                (reset, processor) -> processor == 0 ? Optional.of(state.processor(reset, general)) : Optional.empty());
    }

    /** The multiboot information (specification 3.3), the memory map, the command line and the loader's name, for one place. */
    private byte[] information(long gpa, byte[] commandLine) {
        List<MapEntry> map = memoryMap();
        byte[] loader = LOADER_NAME.getBytes(StandardCharsets.US_ASCII);
        int mapAt = 120;
        int mapLength = map.size() * 24;
        int commandLineAt = mapAt + mapLength;
        int loaderAt = commandLineAt + commandLine.length + 1;
        ByteBuffer info = ByteBuffer.allocate(loaderAt + loader.length + 1).order(ByteOrder.LITTLE_ENDIAN);
        // Memory sizes, command line, memory map, loader name.
        info.putInt(0, 1 << 0 | 1 << 2 | 1 << 6 | 1 << 9);
        info.putInt(4, (int) (PcMemory.VGA.start() >> 10));
        info.putInt(8, (int) ((memory.low() - PcMemory.LEGACY_END) >> 10));
        info.putInt(16, (int) (gpa + commandLineAt));
        info.putInt(44, mapLength);
        info.putInt(48, (int) (gpa + mapAt));
        info.putInt(64, (int) (gpa + loaderAt));
        info.position(mapAt);
        for (MapEntry entry : map) {
            info.putInt(20).putLong(entry.base()).putLong(entry.length()).putInt(entry.type());
        }
        info.put(commandLine).put((byte) 0).put(loader).put((byte) 0);
        return info.array();
    }

    private List<MapEntry> memoryMap() {
        List<MapEntry> map = new ArrayList<>();
        for (MemoryRange range : memory.visibleRam()) {
            map.add(new MapEntry(range.start(), range.length(), MapEntry.AVAILABLE));
            if (range.end() == PcMemory.VGA.start()) {
                map.add(new MapEntry(range.end(), PcMemory.LEGACY_END - range.end(), MapEntry.RESERVED));
            }
        }
        return map;
    }

    private static GeneralRegisters general(long rip, long rsp, int processor) {
        return new GeneralRegisters(processor, 0, 0, 0, 0, 0, rsp, 0, 0, 0, 0, 0, 0, 0, 0, 0, rip, 2);
    }

    private void requireRam(String what, Piece piece) {
        if (!memory.isVisibleRam(piece.gpa(), piece.size())) {
            throw new IllegalArgumentException(what + " does not fit into memory: 0x" + Long.toHexString(piece.gpa())
                    + "-0x" + Long.toHexString(piece.gpa() + piece.size()) + " is not all RAM; RAM is "
                    + memory.visibleRam() + ": give more memory or another address");
        }
    }

    private long place(String what, int size, List<Piece> image) {
        List<Long> candidates = new ArrayList<>(List.of(STACK, 0x1000L));
        image.stream().map(p -> pageAfter(p.gpa() + p.size())).forEach(candidates::add);
        return candidates.stream()
                .filter(gpa ->
                        memory.isVisibleRam(gpa, size) && Long.compareUnsigned(gpa + size, PcMemory.GAP_END) <= 0)
                .filter(gpa -> image.stream().noneMatch(p -> p.overlaps(gpa, size)))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException(
                        what + " leaves no room for " + size + " bytes of tables; give more memory"));
    }

    private static long pageAfter(long address) {
        return (address + MemoryRange.PAGE_SIZE - 1) & -MemoryRange.PAGE_SIZE;
    }

    private record MapEntry(long base, long length, int type) {
        static final int AVAILABLE = 1;
        static final int RESERVED = 2;
    }
}
