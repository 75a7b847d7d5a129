package io.membacking.region.internal;

import static io.membacking.region.internal.World.OTHER;
import static io.membacking.region.internal.World.PAGE;
import static io.membacking.region.internal.World.PRIVATE;
import static io.membacking.region.internal.World.SHARED;
import static io.membacking.region.internal.World.WRITABLE;
import static io.membacking.region.internal.World.pages;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.AttachException;
import io.membacking.error.AttachException.Stage;
import io.membacking.error.LayoutException;
import io.membacking.partition.Capabilities;
import io.membacking.partition.PartitionMapping;
import io.membacking.partition.PartitionMapping.Remote;
import io.membacking.partition.PartitionMapping.Source;
import io.membacking.region.AttachRequest;
import io.membacking.region.MapParameters;
import io.membacking.region.RegionId;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

/** Attachments that map through another process: told of backings, cut where those end, and only where all can be shared. */
class RemoteProcessTest {
    private static final long PROCESS = 77;

    private final World world = new World(64);

    private static Capabilities remote(boolean follows) {
        return new Capabilities(
                true,
                false,
                false,
                follows,
                false,
                false,
                false,
                true,
                false,
                false,
                false,
                true,
                40,
                1000,
                "recording");
    }

    private RecordingPartition attach(World to, Capabilities capabilities, OptionalLong alias) throws Exception {
        RecordingPartition partition = new RecordingPartition(to.faults, to.anySpace, "far", capabilities);
        to.manager.attach(new AttachRequest(
                "far",
                partition,
                new RecordingGate(to.faults, "far"),
                alias.isPresent() ? 2 : 0,
                alias,
                false,
                OptionalLong.of(PROCESS)));
        return partition;
    }

    @Test
    void everyMappingNamesProcessBackingAndOffsetAndIsCutWhereBackingsEnd() throws Exception {
        for (boolean follows : new boolean[] {false, true}) {
            World own = new World(64);
            RegionId ram = own.ram(2, 16);
            RecordingPartition partition = attach(own, remote(follows), OptionalLong.empty());
            own.manager
                    .change("device memory in the middle")
                    .addMapping(ram, pages(4, 6), OTHER, 9 * PAGE, true)
                    .commit();
            List<PartitionMapping> mappings = partition.mappings();
            assertEquals(
                    List.of(pages(2, 6), pages(6, 8), pages(8, 16)),
                    mappings.stream().map(PartitionMapping::range).toList());
            assertMapping(mappings.get(0), SHARED, 2 * PAGE);
            assertMapping(mappings.get(1), OTHER, 9 * PAGE);
            assertMapping(mappings.get(2), SHARED, 8 * PAGE);
            own.checkClean();
        }
    }

    private static void assertMapping(PartitionMapping mapping, long backing, long offset) {
        int descriptor = (int) (100 + backing);
        assertEquals(Optional.of(new Remote(PROCESS, OptionalInt.of(descriptor), offset)), mapping.remote());
        assertEquals(Optional.of(new Source(backing, descriptor, offset)), mapping.source());
    }

    @Test
    void theAliasIsTheSameMemory() throws Exception {
        world.ram(0, 4);
        RecordingPartition partition = attach(world, remote(false), OptionalLong.of(64 * PAGE));
        assertEquals(2, partition.mappings().size());
        partition.mappings().forEach(mapping -> assertMapping(mapping, SHARED, 0));
    }

    @Test
    void withoutAnotherProcessPartitionsThatDoNotFollowAreToldTheBackingAlone() throws Exception {
        world.ram(0, 4);
        world.region("private", pages(8, 9), 1, PRIVATE, 0, WRITABLE);
        world.attach("near", World.notFollowing());
        List<PartitionMapping> mappings = world.partitions.get(0).mappings();
        assertEquals(Optional.of(new Source(SHARED, 101, 0)), mappings.get(0).source());
        assertEquals(Optional.empty(), mappings.get(0).remote());
        assertEquals(Optional.empty(), mappings.get(1).source());
    }

    @Test
    void privateMemoryIsRefusedByNameInEitherOrder() throws Exception {
        RegionId ram = world.ram(0, 4);
        attach(world, remote(false), OptionalLong.empty());
        LayoutException refused = assertThrows(LayoutException.class, () -> world.manager
                .change("private")
                .addMapping(ram, pages(1, 2), PRIVATE, 0, true)
                .commit());
        assertTrue(refused.getMessage().contains("'far'"), refused::getMessage);
        world.checkClean();

        World other = new World(64);
        other.region("private", pages(8, 9), 1, PRIVATE, 0, WRITABLE);
        AttachException e =
                assertThrows(AttachException.class, () -> attach(other, remote(false), OptionalLong.empty()));
        assertEquals(Stage.REQUEST, e.stage());
        assertTrue(e.getMessage().contains("private memory"), e::getMessage);
        other.checkClean();
    }

    @Test
    void aBackendWithoutTheCapabilityIsRefused() throws Exception {
        world.region("rom", pages(0, 4), 1, SHARED, 0, MapParameters.READ_ONLY);
        AttachException e =
                assertThrows(AttachException.class, () -> attach(world, World.notFollowing(), OptionalLong.empty()));
        assertEquals(Stage.REQUEST, e.stage());
        assertTrue(e.getMessage().contains("cannot map into another process"), e::getMessage);
    }
}
