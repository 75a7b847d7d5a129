package io.membacking.runner;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.membacking.partition.Availability;
import io.membacking.partition.Capabilities;
import io.membacking.vm.VirtualMachines.BackendInfo;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class BackendChoiceTest {
    private final List<BackendInfo> bestFirst = List.of(
            backend("kvm", Availability.unusable("cannot be opened", "ask for it")),
            backend("fine", Availability.USABLE),
            backend("reference", Availability.USABLE),
            backend("worse", Availability.unusable("is not there", "install it")));

    @Test
    void aFilterAdmitsByServiceProperties() {
        assertEquals(bestFirst, new BackendChoice("").of(bestFirst));
        assertEquals(List.of(bestFirst.get(2)), new BackendChoice("(membacking.backend=reference)").of(bestFirst));
    }

    @Test
    void aBetterOneThatCannotBeUsedIsNamedWithReasonAndRemedy() {
        assertEquals(
                List.of("Not on kvm: cannot be opened; ask for it"),
                new BackendChoice("").passedOver(bestFirst, "reference"));
        assertEquals(List.of(), new BackendChoice("(membacking.backend=reference)").passedOver(bestFirst, "reference"));
        assertEquals(List.of(), new BackendChoice("").passedOver(bestFirst, "kvm"));
    }

    private static BackendInfo backend(String name, Availability availability) {
        Capabilities capabilities = new Capabilities(
                true, true, true, true, false, false, false, false, true, true, false, true, 46, 10, name);
        return new BackendInfo(
                name, 1, name + " 1.0", 0, availability, capabilities, Map.of("membacking.backend", name), List.of());
    }
}
