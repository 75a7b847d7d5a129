package io.membacking.partition.whp;

import com.sun.jna.Pointer;
import org.jspecify.annotations.Nullable;

/** Passes every call on, for tests that change a few. */
class ForwardingCalls implements WhpCalls {
    final WhpCalls real;

    ForwardingCalls(WhpCalls real) {
        this.real = real;
    }

    /** Before a call that can fail. @return 0 to carry it out, or the HRESULT that it fails with */
    int before(String call) {
        return 0;
    }

    @Override
    public int getCapability(int code, Pointer buffer, int size, Pointer written) {
        int failure = before("getCapability");
        return failure != 0 ? failure : real.getCapability(code, buffer, size, written);
    }

    @Override
    public int createPartition(Pointer handle) {
        int failure = before("createPartition");
        return failure != 0 ? failure : real.createPartition(handle);
    }

    @Override
    public int setupPartition(long partition) {
        int failure = before("setupPartition");
        return failure != 0 ? failure : real.setupPartition(partition);
    }

    @Override
    public int deletePartition(long partition) {
        return real.deletePartition(partition);
    }

    @Override
    public int setPartitionProperty(long partition, int code, Pointer buffer, int size) {
        int failure = before("setPartitionProperty");
        return failure != 0 ? failure : real.setPartitionProperty(partition, code, buffer, size);
    }

    @Override
    public int mapGpaRange(long partition, long address, long gpa, long bytes, int flags) {
        int failure = before("mapGpaRange");
        return failure != 0 ? failure : real.mapGpaRange(partition, address, gpa, bytes, flags);
    }

    @Override
    public int mapGpaRange2(long partition, long process, long address, long gpa, long bytes, int flags) {
        int failure = before("mapGpaRange2");
        return failure != 0 ? failure : real.mapGpaRange2(partition, process, address, gpa, bytes, flags);
    }

    @Override
    public int unmapGpaRange(long partition, long gpa, long bytes) {
        int failure = before("unmapGpaRange");
        return failure != 0 ? failure : real.unmapGpaRange(partition, gpa, bytes);
    }

    @Override
    public int adviseGpaRange(
            long partition, Pointer ranges, int count, int advice, @Nullable Pointer buffer, int size) {
        int failure = before("adviseGpaRange");
        return failure != 0 ? failure : real.adviseGpaRange(partition, ranges, count, advice, buffer, size);
    }

    @Override
    public int queryGpaRangeDirtyBitmap(long partition, long gpa, long bytes, Pointer bitmap, int size) {
        int failure = before("queryGpaRangeDirtyBitmap");
        return failure != 0 ? failure : real.queryGpaRangeDirtyBitmap(partition, gpa, bytes, bitmap, size);
    }

    @Override
    public int translateGva(long partition, int processor, long gva, int flags, Pointer result, Pointer gpa) {
        return real.translateGva(partition, processor, gva, flags, result, gpa);
    }

    @Override
    public int createVirtualProcessor(long partition, int index) {
        int failure = before("createVirtualProcessor");
        return failure != 0 ? failure : real.createVirtualProcessor(partition, index);
    }

    @Override
    public int deleteVirtualProcessor(long partition, int index) {
        return real.deleteVirtualProcessor(partition, index);
    }

    @Override
    public int runVirtualProcessor(long partition, int index, Pointer exitContext, int size) {
        int failure = before("runVirtualProcessor");
        return failure != 0 ? failure : real.runVirtualProcessor(partition, index, exitContext, size);
    }

    @Override
    public int cancelRunVirtualProcessor(long partition, int index) {
        return real.cancelRunVirtualProcessor(partition, index);
    }

    @Override
    public int getRegisters(long partition, int index, Pointer names, int count, Pointer values) {
        int failure = before("getRegisters");
        return failure != 0 ? failure : real.getRegisters(partition, index, names, count, values);
    }

    @Override
    public int setRegisters(long partition, int index, Pointer names, int count, Pointer values) {
        int failure = before("setRegisters");
        return failure != 0 ? failure : real.setRegisters(partition, index, names, count, values);
    }

    @Override
    public int getXsaveState(long partition, int index, Pointer buffer, int size, Pointer written) {
        int failure = before("getXsaveState");
        return failure != 0 ? failure : real.getXsaveState(partition, index, buffer, size, written);
    }

    @Override
    public int setXsaveState(long partition, int index, Pointer buffer, int size) {
        int failure = before("setXsaveState");
        return failure != 0 ? failure : real.setXsaveState(partition, index, buffer, size);
    }

    @Override
    public long startSurrogate() {
        int failure = before("startSurrogate");
        return failure != 0 ? failure : real.startSurrogate();
    }

    @Override
    public void endSurrogate(long process) {
        real.endSurrogate(process);
    }

    @Override
    public boolean hasEnded(long process) {
        return real.hasEnded(process);
    }

    @Override
    public long mapSection(long process, int section) {
        int failure = before("mapSection");
        return failure != 0 ? failure : real.mapSection(process, section);
    }

    @Override
    public void unmapSection(long process, long address) {
        real.unmapSection(process, address);
    }

    @Override
    public String missing() {
        return real.missing();
    }

    @Override
    public boolean isShim() {
        return real.isShim();
    }

    @Override
    public void close() {
        real.close();
    }
}
