package io.membacking.partition.whp;

import com.sun.jna.Memory;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Some registers of a processor, read or set in one call. Not thread-safe; closed by its owner. */
final class RegisterBlock implements AutoCloseable {
    private final List<Integer> names;
    private final Map<Integer, Integer> places = new HashMap<>();
    private final Memory nameMemory;
    private final Memory values;

    RegisterBlock(List<Integer> names) {
        this.names = List.copyOf(names);
        nameMemory = new Memory(Math.max(1, names.size()) * (long) Integer.BYTES);
        values = new Memory(Math.max(1, names.size()) * (long) WhpAbi.REGISTER_VALUE_SIZE);
        values.clear();
        for (int i = 0; i < names.size(); i++) {
            nameMemory.setInt((long) i * Integer.BYTES, names.get(i));
            places.put(names.get(i), i);
        }
    }

    int get(WhpCalls calls, long partition, int processor) {
        return names.isEmpty()
                ? Hresult.OK
                : calls.getRegisters(partition, processor, nameMemory, names.size(), values);
    }

    int set(WhpCalls calls, long partition, int processor) {
        return names.isEmpty()
                ? Hresult.OK
                : calls.setRegisters(partition, processor, nameMemory, names.size(), values);
    }

    boolean has(int name) {
        return places.containsKey(name);
    }

    private long at(int name) {
        Integer place = places.get(name);
        if (place == null) {
            throw new IllegalArgumentException("register 0x" + Integer.toHexString(name) + " is not in this block");
        }
        return (long) place * WhpAbi.REGISTER_VALUE_SIZE;
    }

    long value(int name) {
        return values.getLong(at(name));
    }

    long upper(int name) {
        return values.getLong(at(name) + Long.BYTES);
    }

    void set(int name, long value) {
        set(name, value, 0);
    }

    void set(int name, long value, long upper) {
        values.setLong(at(name), value);
        values.setLong(at(name) + Long.BYTES, upper);
    }

    long segmentBase(int name) {
        return values.getLong(at(name) + WhpAbi.SEGMENT_BASE);
    }

    int segmentLimit(int name) {
        return values.getInt(at(name) + WhpAbi.SEGMENT_LIMIT);
    }

    int segmentSelector(int name) {
        return values.getShort(at(name) + WhpAbi.SEGMENT_SELECTOR) & 0xffff;
    }

    int segmentAttributes(int name) {
        return values.getShort(at(name) + WhpAbi.SEGMENT_ATTRIBUTES) & 0xffff;
    }

    void setSegment(int name, long base, int limit, int selector, int attributes) {
        values.setLong(at(name) + WhpAbi.SEGMENT_BASE, base);
        values.setInt(at(name) + WhpAbi.SEGMENT_LIMIT, limit);
        values.setShort(at(name) + WhpAbi.SEGMENT_SELECTOR, (short) selector);
        values.setShort(at(name) + WhpAbi.SEGMENT_ATTRIBUTES, (short) attributes);
    }

    long tableBase(int name) {
        return values.getLong(at(name) + WhpAbi.TABLE_BASE);
    }

    int tableLimit(int name) {
        return values.getShort(at(name) + WhpAbi.TABLE_LIMIT) & 0xffff;
    }

    void setTable(int name, long base, int limit) {
        set(name, 0, 0);
        values.setLong(at(name) + WhpAbi.TABLE_BASE, base);
        values.setShort(at(name) + WhpAbi.TABLE_LIMIT, (short) limit);
    }

    @Override
    public void close() {
        nameMemory.close();
        values.close();
    }
}
