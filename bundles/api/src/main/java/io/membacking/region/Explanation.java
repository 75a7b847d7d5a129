package io.membacking.region;

import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Why a guest-physical address is what it is.
 *
 * @param gpa the address asked for
 * @param visibleOrNull the piece that the guest sees there, or null if accesses exit
 * @param winnerOrNull the mapped region that wins there, with memory or without, or null if there is none
 * @param hidden the mapped regions that lose there, in the order in which they would show
 * @param unmapped the regions that lie there but are not in the guest
 * @param attachments a line for each attachment: what its partition holds there
 * @param lastChangeOrNull the last journal entry that changed what is there, if the journal still has it
 */
public record Explanation(
        long gpa,
        @Nullable FlatPiece visibleOrNull,
        @Nullable RegionInfo winnerOrNull,
        List<RegionInfo> hidden,
        List<RegionInfo> unmapped,
        List<String> attachments,
        @Nullable JournalEntry lastChangeOrNull) {
    public Explanation {
        hidden = List.copyOf(hidden);
        unmapped = List.copyOf(unmapped);
        attachments = List.copyOf(attachments);
    }

    public Optional<FlatPiece> visible() {
        return Optional.ofNullable(visibleOrNull);
    }

    public Optional<RegionInfo> winner() {
        return Optional.ofNullable(winnerOrNull);
    }

    public Optional<JournalEntry> lastChange() {
        return Optional.ofNullable(lastChangeOrNull);
    }
}
