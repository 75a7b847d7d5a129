package io.membacking.partition.reference;

import io.membacking.partition.Exit;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What an instruction has had from the monitor so far. It is carried out again from its beginning after every exit, and then finds
 * here what it asked for before: an instruction in the middle is its start and this list, and no other state.
 */
final class Exchange {
    private enum Kind {
        MEMORY_READ,
        MEMORY_WRITE,
        PORT_READ,
        PORT_WRITE
    }

    private record Answer(Kind kind, long address, int size, long value) {
        boolean answers(Kind askedKind, long askedAddress, int askedSize) {
            return kind == askedKind && address == askedAddress && size == askedSize;
        }
    }

    private final List<Answer> answers = new ArrayList<>();
    private int position;
    private @Nullable Exit asked;

    /** Whether nothing has been had. */
    boolean isEmpty() {
        return answers.isEmpty();
    }

    /** The exit that waits for its answer. */
    @Nullable
    Exit asked() {
        return asked;
    }

    /** The instruction begins, again or for the first time. */
    void rewind() {
        position = 0;
    }

    /** The instruction is done, or given up. */
    void clear() {
        if (!answers.isEmpty()) {
            answers.clear();
        }
        position = 0;
        asked = null;
    }

    /** Takes the answer to the exit that waits for it. */
    void answer() {
        if (asked instanceof Exit.Mmio mmio) {
            answers.add(new Answer(
                    mmio.input() ? Kind.MEMORY_READ : Kind.MEMORY_WRITE, mmio.gpa(), mmio.size(), mmio.value()));
        } else if (asked instanceof Exit.PortIo io) {
            answers.add(new Answer(io.input() ? Kind.PORT_READ : Kind.PORT_WRITE, io.port(), io.size(), io.value(0)));
        }
        asked = null;
    }

    /** Whether the instruction had this from the monitor, whatever lies at the address now. */
    boolean answersRead(long gpa, int size) {
        return position < answers.size() && answers.get(position).answers(Kind.MEMORY_READ, gpa, size);
    }

    boolean answersWrite(long gpa, int size) {
        return position < answers.size() && answers.get(position).answers(Kind.MEMORY_WRITE, gpa, size);
    }

    long readMemory(long gpa, int size) {
        Answer answer = take(Kind.MEMORY_READ, gpa, size);
        if (answer != null) {
            return answer.value();
        }
        throw ask(new Exit.Mmio(gpa, size, true, new byte[size]));
    }

    void writeMemory(long gpa, int size, long value) {
        if (take(Kind.MEMORY_WRITE, gpa, size) == null) {
            Exit.Mmio exit = new Exit.Mmio(gpa, size, false, new byte[size]);
            exit.setValue(value);
            throw ask(exit);
        }
    }

    long readPort(int port, int size) {
        Answer answer = take(Kind.PORT_READ, port, size);
        if (answer != null) {
            return answer.value();
        }
        throw ask(new Exit.PortIo(port, size, 1, true, new byte[size]));
    }

    void writePort(int port, int size, long value) {
        if (take(Kind.PORT_WRITE, port, size) == null) {
            Exit.PortIo exit = new Exit.PortIo(port, size, 1, false, new byte[size]);
            exit.setValue(0, value);
            throw ask(exit);
        }
    }

    private @Nullable Answer take(Kind kind, long address, int size) {
        if (position < answers.size()) {
            Answer answer = answers.get(position);
            if (answer.answers(kind, address, size)) {
                position++;
                return answer;
            }
            // Memory has changed under it, and it goes another way now.
            answers.subList(position, answers.size()).clear();
        }
        return null;
    }

    private ExitRequest ask(Exit exit) {
        asked = exit;
        return new ExitRequest(exit);
    }
}
