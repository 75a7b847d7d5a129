package io.membacking.partition.kvm;

import io.membacking.partition.ProcessorState.PendingEvents;
import io.membacking.partition.ProcessorState.PendingException;
import io.membacking.partition.ProcessorState.PendingInterrupt;
import io.membacking.partition.ProcessorState.Shadow;
import java.nio.ByteBuffer;
import java.util.Optional;

/** Events in their portable form to and from {@code struct kvm_vcpu_events}. */
final class Events {
    private Events() {}

    static PendingEvents get(ByteBuffer events) {
        return new PendingEvents(
                exception(events),
                is(events, KvmAbi.EVENTS_INTERRUPT_INJECTED)
                        ? Optional.of(new PendingInterrupt(
                                events.get(KvmAbi.EVENTS_INTERRUPT_NR) & 0xff,
                                is(events, KvmAbi.EVENTS_INTERRUPT_SOFT)))
                        : Optional.empty(),
                shadow(events.get(KvmAbi.EVENTS_INTERRUPT_SHADOW)),
                is(events, KvmAbi.EVENTS_NMI_INJECTED),
                events.get(KvmAbi.EVENTS_NMI_PENDING) & 0xff,
                is(events, KvmAbi.EVENTS_NMI_MASKED));
    }

    private static Optional<PendingException> exception(ByteBuffer events) {
        boolean injected = is(events, KvmAbi.EVENTS_EXCEPTION_INJECTED);
        if (!injected && !is(events, KvmAbi.EVENTS_EXCEPTION_PENDING)) {
            return Optional.empty();
        }
        return Optional.of(new PendingException(
                events.get(KvmAbi.EVENTS_EXCEPTION_NR) & 0xff,
                is(events, KvmAbi.EVENTS_EXCEPTION_HAS_ERROR_CODE)
                        ? Optional.of(events.getInt(KvmAbi.EVENTS_EXCEPTION_ERROR_CODE))
                        : Optional.empty(),
                injected,
                is(events, KvmAbi.EVENTS_HAS_PAYLOAD)
                        ? Optional.of(events.getLong(KvmAbi.EVENTS_PAYLOAD))
                        : Optional.empty()));
    }

    private static Shadow shadow(byte bits) {
        if ((bits & KvmAbi.KVM_X86_SHADOW_INT_MOV_SS) != 0) {
            return Shadow.MOV_SS;
        }
        return (bits & KvmAbi.KVM_X86_SHADOW_INT_STI) != 0 ? Shadow.STI : Shadow.NONE;
    }

    /**
     * Overwrites what the portable form has, with the flags that make KVM take it, and leaves the rest.
     *
     * @param payload whether the partition has exceptions that are pending, with payloads; without, all are being delivered
     */
    static void put(ByteBuffer events, PendingEvents portable, boolean payload) {
        Optional<PendingException> exception = portable.exception();
        boolean injected = exception.isPresent() && (exception.get().injected() || !payload);
        set(events, KvmAbi.EVENTS_EXCEPTION_INJECTED, injected);
        set(events, KvmAbi.EVENTS_EXCEPTION_PENDING, exception.isPresent() && !injected);
        events.put(
                KvmAbi.EVENTS_EXCEPTION_NR,
                exception.map(PendingException::vector).orElse(0).byteValue());
        Optional<Integer> errorCode = exception.flatMap(PendingException::errorCode);
        set(events, KvmAbi.EVENTS_EXCEPTION_HAS_ERROR_CODE, errorCode.isPresent());
        events.putInt(KvmAbi.EVENTS_EXCEPTION_ERROR_CODE, errorCode.orElse(0));
        Optional<Long> value = exception.flatMap(PendingException::payload);
        set(events, KvmAbi.EVENTS_HAS_PAYLOAD, value.isPresent());
        events.putLong(KvmAbi.EVENTS_PAYLOAD, value.orElse(0L));
        Optional<PendingInterrupt> interrupt = portable.interrupt();
        set(events, KvmAbi.EVENTS_INTERRUPT_INJECTED, interrupt.isPresent());
        events.put(
                KvmAbi.EVENTS_INTERRUPT_NR,
                interrupt.map(PendingInterrupt::vector).orElse(0).byteValue());
        set(
                events,
                KvmAbi.EVENTS_INTERRUPT_SOFT,
                interrupt.map(PendingInterrupt::software).orElse(false));
        int shadow =
                switch (portable.shadow()) {
                    case NONE -> 0;
                    case STI -> KvmAbi.KVM_X86_SHADOW_INT_STI;
                    case MOV_SS -> KvmAbi.KVM_X86_SHADOW_INT_MOV_SS;
                };
        events.put(KvmAbi.EVENTS_INTERRUPT_SHADOW, (byte) shadow);
        set(events, KvmAbi.EVENTS_NMI_INJECTED, portable.nmiInjected());
        events.put(KvmAbi.EVENTS_NMI_PENDING, (byte) portable.nmiPending());
        set(events, KvmAbi.EVENTS_NMI_MASKED, portable.nmiMasked());
        int flags = events.getInt(KvmAbi.EVENTS_FLAGS)
                | KvmAbi.KVM_VCPUEVENT_VALID_NMI_PENDING
                | KvmAbi.KVM_VCPUEVENT_VALID_SHADOW;
        events.putInt(
                KvmAbi.EVENTS_FLAGS,
                payload ? flags | KvmAbi.KVM_VCPUEVENT_VALID_PAYLOAD : flags & ~KvmAbi.KVM_VCPUEVENT_VALID_PAYLOAD);
    }

    private static boolean is(ByteBuffer events, int at) {
        return events.get(at) != 0;
    }

    private static void set(ByteBuffer events, int at, boolean value) {
        events.put(at, (byte) (value ? 1 : 0));
    }
}
