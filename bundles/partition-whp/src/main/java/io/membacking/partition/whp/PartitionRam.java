package io.membacking.partition.whp;

import com.sun.jna.Memory;
import io.membacking.partition.whp.emulation.Ram;
import java.util.Optional;

/** The memory of a partition, as the emulation of one of its processors' instructions sees it. */
final class PartitionRam implements Ram, AutoCloseable {
    private final WhpCalls calls;
    private final long partition;
    private final int processor;
    private final RangeBook book;
    private final Memory result = new Memory(WhpAbi.TRANSLATE_GVA_RESULT_SIZE);
    private final Memory gpa = new Memory(Long.BYTES);

    /** @param book whose monitor guards it */
    PartitionRam(WhpCalls calls, long partition, int processor, RangeBook book) {
        this.calls = calls;
        this.partition = partition;
        this.processor = processor;
        this.book = book;
    }

    @Override
    public boolean isReadable(long address) {
        synchronized (book) {
            return book.at(address).isPresent();
        }
    }

    @Override
    public boolean isWritable(long address) {
        synchronized (book) {
            return book.at(address).filter(entry -> entry.mapping().writable()).isPresent();
        }
    }

    @Override
    public boolean read(long address, byte[] target, int offset, int length) {
        synchronized (book) {
            Optional<RangeBook.Entry> entry = book.at(address);
            entry.ifPresent(e -> e.read(address, target, offset, length));
            return entry.isPresent();
        }
    }

    @Override
    public boolean write(long address, byte[] source, int offset, int length) {
        synchronized (book) {
            Optional<RangeBook.Entry> entry =
                    book.at(address).filter(e -> e.mapping().writable());
            entry.ifPresent(e -> e.write(address, source, offset, length));
            return entry.isPresent();
        }
    }

    /** The platform sets the bits; if it does not, the guest sees a page as untouched that one instruction reached. */
    @Override
    public void touched(long gva, boolean write) {
        int flags = WhpAbi.TRANSLATE_SET_PAGE_TABLE_BITS
                | (write ? WhpAbi.TRANSLATE_VALIDATE_WRITE : WhpAbi.TRANSLATE_VALIDATE_READ);
        calls.translateGva(partition, processor, gva, flags, result, gpa);
    }

    @Override
    public void close() {
        result.close();
        gpa.close();
    }
}
