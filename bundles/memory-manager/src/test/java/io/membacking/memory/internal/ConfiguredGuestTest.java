package io.membacking.memory.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.inspect.Inspectable;
import io.membacking.memory.GuestMemoryManager;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class ConfiguredGuestTest {
    private final Rig rig = new Rig();
    private final Map<String, Inspectable> published = new TreeMap<>();

    @AfterEach
    void close() {
        rig.close();
    }

    private ConfiguredGuest configured(String name, Map<String, Object> settings) {
        return new ConfiguredGuest(rig.memories, Configurations.of(name, settings), (guest, inspectable) -> {
            published.put(guest, inspectable);
            return () -> published.remove(guest, inspectable);
        });
    }

    private Map<String, String> shown(String guest) {
        return Told.by(published.get(guest));
    }

    @Test
    void aConfigurationBuildsAGuestAndItsEndClosesIt() {
        ConfiguredGuest component = configured(
                "web1", Map.of("memory", "2M", "mmio", new String[] {"4M-6M"}, "x86_legacy", true, "pinning", true));
        GuestMemoryManager guest = rig.memories.manager("web1").orElseThrow();
        assertEquals(6 << 20, guest.layout().end());
        assertEquals(16, guest.ramRegions().size());
        assertTrue(guest.pinning());
        assertEquals("built", shown("web1").get("configuration/state"));
        assertEquals("2M", shown("web1").get("configuration/settings/memory"));
        component.deactivate();
        assertEquals(Optional.empty(), rig.memories.manager("web1"));
        assertEquals(Map.of(), published);
    }

    @Test
    void anEditNeverEndsTheGuestAndIsShownUntilItIsTakenBack() {
        Map<String, Object> first = Map.of("memory", "2M");
        ConfiguredGuest component = configured("web1", first);
        GuestMemoryManager guest = rig.memories.manager("web1").orElseThrow();
        guest.memory().writeLong(0, 5);

        component.modified(Configurations.of("web2", Map.of("memory", "4M", "pinning", true)));
        assertSame(guest, rig.memories.manager("web1").orElseThrow());
        assertEquals(5, guest.memory().readLong(0));
        assertEquals(Optional.empty(), rig.memories.manager("web2"));
        assertEquals("4M (built with 2M)", shown("web1").get("configuration/edited-but-kept/memory"));
        assertEquals("true (built with false)", shown("web1").get("configuration/edited-but-kept/pinning"));
        assertEquals("web2 (built with web1)", shown("web1").get("configuration/edited-but-kept/name"));

        component.modified(Configurations.of("web1", first));
        assertFalse(shown("web1").containsKey("configuration/edited-but-kept/memory"));
        component.modified(Configurations.of("web1", Map.of("memory", "nonsense")));
        assertEquals(5, guest.memory().readLong(0));
        component.deactivate();
    }

    @Test
    void aConfigurationThatIsRefusedSaysWhyAndIsTriedAgainWhenItIsEdited() {
        ConfiguredGuest component = configured("web1", Map.of("memory", "3 things"));
        assertEquals("refused", shown("web1").get("configuration/state"));
        assertTrue(shown("web1").get("configuration/refusal").contains("'3 things' is no size"));
        component.modified(Configurations.of("web1", Map.of("memory", "1M", "backing", "private", "x86_legacy", true)));
        assertTrue(shown("web1").get("configuration/refusal").contains("private memory cannot be split"));
        component.modified(Configurations.of("web1", Map.of("memory", "1M")));
        assertEquals("built", shown("web1").get("configuration/state"));
        assertTrue(rig.memories.manager("web1").isPresent());
        component.deactivate();

        ConfiguredGuest nameless = configured(null, Map.of());
        ConfiguredGuest slashed = configured("a/b", Map.of("memory", "1M"));
        assertEquals(Map.of(), published);
        nameless.deactivate();
        slashed.deactivate();
    }

    @Test
    void twoConfigurationsOfOneNameAreOneGuestAndOneRefusal() {
        ConfiguredGuest one = configured("web1", Map.of("memory", "1M"));
        GuestMemoryManager guest = rig.memories.manager("web1").orElseThrow();
        ConfiguredGuest two = configured("web1", Map.of("memory", "2M"));
        assertTrue(shown("web1").get("configuration/refusal").contains("already"));
        two.deactivate();
        assertSame(guest, rig.memories.manager("web1").orElseThrow());
        one.deactivate();
    }
}
