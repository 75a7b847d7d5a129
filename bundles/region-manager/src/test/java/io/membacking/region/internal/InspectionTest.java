package io.membacking.region.internal;

import static io.membacking.region.internal.World.PAGE;
import static io.membacking.region.internal.World.pages;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.LayoutException;
import io.membacking.inspect.Inspection;
import io.membacking.inspect.Sensitivity;
import io.membacking.region.RegionId;
import java.util.Map;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

class InspectionTest {
    /** Notes paths and values. */
    private static final class Notes implements Inspection {
        private final Map<String, Object> values;
        private final String prefix;

        Notes(Map<String, Object> values, String prefix) {
            this.values = values;
            this.prefix = prefix;
        }

        private Inspection note(String name, Object value) {
            assertFalse(values.containsKey(prefix + name), "told twice: " + prefix + name);
            values.put(prefix + name, value);
            return this;
        }

        @Override
        public Inspection text(String name, String value) {
            return note(name, value);
        }

        @Override
        public Inspection number(String name, long value) {
            return note(name, value);
        }

        @Override
        public Inspection hex(String name, long value) {
            return note(name, value);
        }

        @Override
        public Inspection bool(String name, boolean value) {
            return note(name, value);
        }

        @Override
        public Inspection counter(String name, long value) {
            return note(name, value);
        }

        @Override
        public Inspection hostAddress(String name, long value) {
            return note(name, "host address");
        }

        @Override
        public Inspection settable(String name, String value, Consumer<String> setter) {
            return note(name, value);
        }

        @Override
        public Inspection child(String name, Consumer<Inspection> children) {
            children.accept(new Notes(values, prefix + name + "/"));
            return this;
        }

        @Override
        public Inspection sensitivity(Sensitivity sensitivity) {
            return this;
        }
    }

    @Test
    void treeShowsRegionsFlatViewConsumersJournalAndCounters() throws Exception {
        World world = new World(64);
        world.attach("vtl2", World.following(), 2, OptionalLong.of(64 * PAGE), true);
        world.register("iommu", true);
        RegionId ram = world.ram(0, 16);
        world.manager
                .change("two mappings")
                .addMapping(ram, pages(2, 3), World.OTHER, 0, false)
                .commit();
        assertThrows(
                LayoutException.class,
                () -> world.manager.change("too far").move(ram, 60 * PAGE).commit());

        TreeMap<String, Object> tree = new TreeMap<>();
        new GuestInspection(world.manager).inspect(new Notes(tree, ""));

        assertEquals("host address", tree.get("base"));
        assertEquals("0x0-0x10000", tree.get("regions/ram#1/range"));
        assertEquals("read-write, executable", tree.get("regions/ram#1/mapped"));
        assertEquals("backing 'b2' (2) from 0x0, read-only", tree.get("regions/ram#1/mappings/0x2000-0x3000"));
        assertTrue(tree.get("flat-view/0x2000-0x3000").toString().startsWith("ram#1, read-only"));
        assertEquals(64 * PAGE, tree.get("attachments/vtl2/alias-offset"));
        assertEquals("HOST_MEMORY", tree.get("attachments/vtl2/pin/achieved"));
        assertTrue(tree.containsKey("attachments/vtl2/mappings/0x40000-0x42000"), tree.toString());
        assertEquals(3L, tree.get("dma/iommu/mappings"));
        assertEquals(3L, tree.get("journal/entries"));
        assertEquals("UNDONE", tree.get("journal/last/outcome"));
        assertTrue(tree.get("journal/last/failure").toString().contains("VA space"));
        assertEquals(2L, tree.get("counters/commits"));
        assertEquals(1L, tree.get("counters/failed-commits"));
    }
}
