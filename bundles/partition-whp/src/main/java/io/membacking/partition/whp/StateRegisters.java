package io.membacking.partition.whp;

import com.sun.jna.Memory;
import io.membacking.error.BackendException;
import io.membacking.partition.PlatformState;
import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.VectorState;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;

/** The whole state of one processor, to and from the platform. Not thread-safe. */
final class StateRegisters implements AutoCloseable {
    private static final int XSAVE_LARGEST = 1 << 16;
    private static final int XSTATE_BV = 512;

    private final WhpCalls calls;
    private final long partition;
    private final int processor;
    private final Msrs msrs;
    private final boolean xsave;
    private final XsaveForms forms;
    private final RegisterBlock architecture = new RegisterBlock(Registers.ARCHITECTURE);
    private final RegisterBlock events = new RegisterBlock(Registers.EVENTS);
    private final RegisterBlock portable;
    private final RegisterBlock platform;

    StateRegisters(WhpCalls calls, long partition, int processor, Msrs msrs, boolean xsave, XsaveForms forms) {
        this.calls = calls;
        this.partition = partition;
        this.processor = processor;
        this.msrs = msrs;
        this.xsave = xsave;
        this.forms = forms;
        this.portable = new RegisterBlock(List.copyOf(msrs.portable().values()));
        this.platform = new RegisterBlock(List.copyOf(msrs.platform().values()));
    }

    ProcessorState read(String operation) throws BackendException {
        get(architecture, operation, "registers");
        get(events, operation, "events");
        get(portable, operation, "model-specific registers");
        get(platform, operation, "model-specific registers");
        TreeMap<Integer, Long> values = new TreeMap<>();
        msrs.portable().forEach((number, name) -> values.put(number, portable.value(name)));
        TreeMap<String, byte[]> parts = new TreeMap<>();
        msrs.platform().forEach((number, name) -> parts.put(part(number), bytes(platform.value(name))));
        return new ProcessorState(
                Registers.general(architecture),
                Registers.system(architecture),
                values,
                vectors(operation),
                Optional.of(Registers.debug(architecture)),
                Optional.of(Registers.events(events)),
                Optional.of(Registers.activity(events)),
                Optional.of(new PlatformState(WhpPlatform.FORMAT, parts)));
    }

    private void get(RegisterBlock block, String operation, String what) throws BackendException {
        WhpErrors.check(block.get(calls, partition, processor), operation, "the platform does not tell the " + what);
    }

    private void set(RegisterBlock block, String operation, String what) throws BackendException {
        WhpErrors.check(block.set(calls, partition, processor), operation, "the platform refuses these " + what);
    }

    private static String part(int msr) {
        return "msr-" + Integer.toHexString(msr);
    }

    private static byte[] bytes(long value) {
        return ByteBuffer.allocate(Long.BYTES)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(value)
                .array();
    }

    /** What is wrong is found before anything is set, as far as it can be told without the platform. */
    void write(ProcessorState state, String operation) throws BackendException {
        for (int number : state.msrs().keySet()) {
            if (!msrs.portable().containsKey(number)) {
                throw WhpErrors.refused(
                        operation,
                        null,
                        "the platform has no model-specific register 0x" + Integer.toHexString(number),
                        "leave it out");
            }
        }
        get(architecture, operation, "registers");
        Registers.put(architecture, state.general());
        Registers.put(architecture, state.system());
        state.debug().ifPresent(debug -> Registers.put(architecture, debug));
        state.vectors().ifPresent(vectors -> architecture.set(WhpAbi.XCR0, vectors.xcr0()));
        set(architecture, operation, "registers");
        if (state.vectors().isPresent()) {
            setVectors(state.vectors().get(), operation);
        }
        setMsrs(state.msrs(), operation);
        if (state.platform().isPresent() && state.platform().get().format().equals(WhpPlatform.FORMAT)) {
            setPlatform(state.platform().get(), operation);
        }
        if (state.events().isPresent() || state.activity().isPresent()) {
            get(events, operation, "events");
            state.events().ifPresent(pending -> Registers.put(events, pending));
            state.activity().ifPresent(activity -> Registers.put(events, activity));
            set(events, operation, "events");
        }
    }

    private void setMsrs(SortedMap<Integer, Long> values, String operation) throws BackendException {
        List<Integer> names = new ArrayList<>();
        values.keySet().forEach(number -> names.add(msrs.portable().getOrDefault(number, -1)));
        try (RegisterBlock block = new RegisterBlock(names)) {
            for (Map.Entry<Integer, Long> value : values.entrySet()) {
                block.set(msrs.portable().getOrDefault(value.getKey(), -1), value.getValue());
            }
            set(block, operation, "model-specific registers");
        }
    }

    private void setPlatform(PlatformState state, String operation) throws BackendException {
        get(platform, operation, "model-specific registers");
        msrs.platform().forEach((number, name) -> {
            if (state.has(part(number))) {
                platform.set(
                        name,
                        ByteBuffer.wrap(state.part(part(number)))
                                .order(ByteOrder.LITTLE_ENDIAN)
                                .getLong());
            }
        });
        set(platform, operation, "model-specific registers");
    }

    private Optional<VectorState> vectors(String operation) throws BackendException {
        if (!xsave) {
            return Optional.empty();
        }
        byte[] area = area(operation);
        byte[] standard = XsaveForms.isCompacted(area) ? forms.standard(area, operation) : area;
        return Optional.of(new VectorState(architecture.value(WhpAbi.XCR0), standard));
    }

    private byte[] area(String operation) throws BackendException {
        try (Memory area = new Memory(XSAVE_LARGEST);
                Memory written = new Memory(Integer.BYTES)) {
            WhpErrors.check(
                    calls.getXsaveState(partition, processor, area, XSAVE_LARGEST, written),
                    operation,
                    "the platform does not tell the vector registers");
            return area.getByteArray(0, written.getInt(0));
        }
    }

    private void setVectors(VectorState vectors, String operation) throws BackendException {
        if (!xsave) {
            throw WhpErrors.refused(operation, null, "the platform does not take vector registers", "leave them out");
        }
        byte[] now = area(operation);
        byte[] given = vectors.xsave();
        byte[] taken = XsaveForms.isCompacted(now)
                ? forms.compacted(given, now, operation)
                : fit(given, now.length, operation);
        try (Memory area = new Memory(taken.length)) {
            area.write(0, taken, 0, taken.length);
            WhpErrors.check(
                    calls.setXsaveState(partition, processor, area, taken.length),
                    operation,
                    "the platform refuses these vector registers");
        }
    }

    /** The same area with the platform's length. */
    private static byte[] fit(byte[] area, int size, String operation) throws BackendException {
        for (int i = size; i < area.length; i++) {
            if (area[i] != 0) {
                throw WhpErrors.refused(
                        operation,
                        null,
                        "the state has vector registers that the platform has not: XSTATE_BV 0x"
                                + Long.toHexString(ByteBuffer.wrap(area)
                                        .order(ByteOrder.LITTLE_ENDIAN)
                                        .getLong(XSTATE_BV)),
                        "choose a processor model that both have");
            }
        }
        return Arrays.copyOf(area, size);
    }

    @Override
    public void close() {
        architecture.close();
        events.close();
        portable.close();
        platform.close();
    }
}
