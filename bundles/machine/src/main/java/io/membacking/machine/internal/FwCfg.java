package io.membacking.machine.internal;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;

/**
 * The fw_cfg device, by which firmware learns what it runs on: the selector at port 0x510, the data at 0x511 (QEMU's
 * docs/specs/fw_cfg.rst). Without DMA. Items are read-only; one that is not there, and what lies behind the end of one, reads as
 * 0.
 */
final class FwCfg implements PortDevice {
    static final int SELECTOR = 0x510;
    static final int DATA = 0x511;

    private static final int SIGNATURE = 0x00;
    private static final int ID = 0x01;
    private static final int RAM_SIZE = 0x03;
    private static final int NO_GRAPHIC = 0x04;
    private static final int PROCESSORS = 0x05;
    private static final int BOOT_MENU = 0x0e;
    private static final int MAX_PROCESSORS = 0x0f;
    private static final int FILE_DIRECTORY = 0x19;
    private static final int FIRST_FILE = 0x20;
    private static final int NAME_LENGTH = 56;
    private static final int E820_RAM = 1;

    private final Map<Integer, byte[]> items = new HashMap<>();
    private byte[] item = new byte[0];
    private int position;

    FwCfg(PcMemory memory, int processors) {
        items.put(SIGNATURE, "QEMU".getBytes(StandardCharsets.US_ASCII));
        items.put(ID, little(4, 1));
        items.put(RAM_SIZE, little(8, memory.size()));
        // 1 would make SeaBIOS put its screen on the serial port too, where it comes twice, the debug console having it
        // already.
        items.put(NO_GRAPHIC, little(2, 0));
        items.put(PROCESSORS, little(2, processors));
        // No menu: SeaBIOS would wait seconds for a key that nobody can press.
        items.put(BOOT_MENU, little(2, 0));
        items.put(MAX_PROCESSORS, little(2, processors));
        Map<String, byte[]> files = new TreeMap<>();
        files.put("etc/e820", e820(memory));
        // All ones: without a boot device stay, do not reset after a minute.
        files.put("etc/boot-fail-wait", little(4, -1));
        addFiles(files);
    }

    void attachTo(PortBus bus) {
        bus.attach(SELECTOR, SELECTOR, 2, this);
        bus.attach(DATA, DATA, 1, this);
    }

    synchronized void reset() {
        item = new byte[0];
        position = 0;
    }

    @Override
    public synchronized int read(int port, int size) {
        if (port == DATA) {
            return position < item.length ? item[position++] & 0xff : 0;
        }
        return 0;
    }

    @Override
    public synchronized void write(int port, int size, int value) {
        if (port == SELECTOR) {
            item = items.getOrDefault(value, new byte[0]);
            position = 0;
        }
    }

    /** The directory's numbers are big endian, alone among the items. */
    private void addFiles(Map<String, byte[]> files) {
        ByteBuffer directory = ByteBuffer.allocate(4 + files.size() * (8 + NAME_LENGTH));
        directory.putInt(files.size());
        int selector = FIRST_FILE;
        for (Map.Entry<String, byte[]> file : files.entrySet()) {
            items.put(selector, file.getValue());
            byte[] name = file.getKey().getBytes(StandardCharsets.US_ASCII);
            directory
                    .putInt(file.getValue().length)
                    .putShort((short) selector++)
                    .putShort((short) 0);
            directory.put(name).position(directory.position() + NAME_LENGTH - name.length);
        }
        items.put(FILE_DIRECTORY, directory.array());
    }

    private static byte[] e820(PcMemory memory) {
        ByteArrayOutputStream table = new ByteArrayOutputStream();
        memory.ram().forEach(range -> {
            table.writeBytes(little(8, range.start()));
            table.writeBytes(little(8, range.length()));
            table.writeBytes(little(4, E820_RAM));
        });
        return table.toByteArray();
    }

    private static byte[] little(int size, long value) {
        byte[] bytes = ByteBuffer.allocate(8)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(value)
                .array();
        return Arrays.copyOf(bytes, size);
    }
}
