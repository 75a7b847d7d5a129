package io.membacking.mapping.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.host.Backing;
import io.membacking.inspect.Inspection;
import io.membacking.inspect.Sensitivity;
import io.membacking.mapping.AccessPiece.Access;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

class VaInspectionTest {
    @Test
    void theSpaceShowsItsSizeItsBaseWhatItHoldsAndItsCounters() {
        try (TestGuest guest = new TestGuest(1 << 20)) {
            Backing ram = guest.backing("ram", 0x10000);
            guest.show(TestGuest.range(0x1000, 0x3000), ram, 0x4000, Access.READ_WRITE);

            Recorded recorded = new Recorded();
            new VaInspection(guest.manager).inspect(recorded);

            Map<String, Object> va = recorded.child("va").values;
            assertEquals("hex 1048576", va.get("size"));
            assertEquals("host " + guest.manager.base(), va.get("base"));
            assertEquals("counter 1", va.get("transitions"));
            Map<String, Object> piece = recorded.child("va").child("held").child("0x1000-0x3000").values;
            assertEquals("number " + ram.id(), piece.get("backing"));
            assertEquals("hex 16384", piece.get("offset"));
        }
    }

    @Test
    void aClosedSpaceSaysSo() {
        TestGuest guest = new TestGuest(1 << 20);
        guest.close();
        Recorded recorded = new Recorded();
        new VaInspection(guest.manager).inspect(recorded);
        assertTrue(recorded.child("va").values.get("state").toString().contains("closed"));
    }

    /** Remembers what it was told. */
    private static final class Recorded implements Inspection {
        final Map<String, Object> values = new TreeMap<>();

        Recorded child(String name) {
            return (Recorded) values.get(name);
        }

        private Inspection put(String name, String value) {
            values.put(name, value);
            return this;
        }

        @Override
        public Inspection text(String name, String value) {
            return put(name, value);
        }

        @Override
        public Inspection number(String name, long value) {
            return put(name, "number " + value);
        }

        @Override
        public Inspection hex(String name, long value) {
            return put(name, "hex " + value);
        }

        @Override
        public Inspection bool(String name, boolean value) {
            return put(name, "bool " + value);
        }

        @Override
        public Inspection counter(String name, long value) {
            return put(name, "counter " + value);
        }

        @Override
        public Inspection hostAddress(String name, long value) {
            return put(name, "host " + value);
        }

        @Override
        public Inspection settable(String name, String value, Consumer<String> setter) {
            return put(name, value);
        }

        @Override
        public Inspection child(String name, Consumer<Inspection> children) {
            Recorded child = new Recorded();
            children.accept(child);
            values.put(name, child);
            return this;
        }

        @Override
        public Inspection sensitivity(Sensitivity sensitivity) {
            return this;
        }
    }
}
