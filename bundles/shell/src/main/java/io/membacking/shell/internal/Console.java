package io.membacking.shell.internal;

import io.membacking.error.MembackingException;
import io.membacking.inspect.InspectNode;
import io.membacking.inspect.InspectService;
import io.membacking.inspect.Sensitivity;
import io.membacking.machine.Machine;
import io.membacking.machine.Machines;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.GuestMemoryManagers;
import io.membacking.memory.RamVisibility;
import io.membacking.partition.PartitionBackend;
import io.membacking.region.Attachment;
import io.membacking.region.Change;
import io.membacking.region.DriftReport;
import io.membacking.region.Explanation;
import io.membacking.region.FlatPiece;
import io.membacking.region.JournalEntry;
import io.membacking.region.MapParameters;
import io.membacking.region.RegionId;
import io.membacking.region.RegionInfo;
import io.membacking.vm.MoveForecast;
import io.membacking.vm.MovePolicy;
import io.membacking.vm.MoveResult;
import io.membacking.vm.RunResult;
import io.membacking.vm.VirtualMachine;
import io.membacking.vm.VirtualMachines;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.osgi.framework.Constants;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferenceCardinality;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;

/** Every command's answer. Thread-safe. Machines are needed by the commands that boot and stop alone. */
@Component(service = Console.class)
public final class Console {
    /** Longer than any move: preparing thousands of regions takes a second. */
    private static final Duration MOVE_DEADLINE = Duration.ofSeconds(60);

    private final GuestMemoryManagers memories;
    private final VirtualMachines virtualMachines;
    private final InspectService inspect;
    private final Map<String, RecentOutput> outputs = new ConcurrentHashMap<>();
    private volatile @Nullable Machines machines;

    @Activate
    public Console(
            @Reference(name = "memories") GuestMemoryManagers memories,
            @Reference(name = "virtualMachines") VirtualMachines virtualMachines,
            @Reference(name = "inspect") InspectService inspect) {
        this.memories = memories;
        this.virtualMachines = virtualMachines;
        this.inspect = inspect;
    }

    @Reference(
            name = "machines",
            cardinality = ReferenceCardinality.OPTIONAL,
            policy = ReferencePolicy.DYNAMIC,
            policyOption = ReferencePolicyOption.GREEDY)
    void bindMachines(Machines service) {
        machines = service;
    }

    void unbindMachines(Machines service) {
        if (machines == service) {
            machines = null;
        }
    }

    @Deactivate
    void deactivate() {
        outputs.clear();
    }

    // ---- names, for completion

    public List<String> guestNames() {
        return memories.managers().stream().map(GuestMemoryManager::guest).toList();
    }

    public List<String> machineNames() {
        Machines service = machines;
        return service == null
                ? List.of()
                : service.machines().stream().map(Machine::name).toList();
    }

    /** The regions of all guests as commands take them: {@code ram#3}. */
    public List<String> regionNames() {
        return memories.managers().stream()
                .flatMap(m -> m.regions().regions().stream())
                .map(r -> r.id().toString())
                .distinct()
                .toList();
    }

    /** The children of the directory that the unfinished path is in, as whole paths. */
    public List<String> inspectPaths(String unfinished) {
        int slash = unfinished.lastIndexOf('/');
        String directory = slash < 0 ? "" : unfinished.substring(0, slash + 1);
        InspectService.Query query =
                new InspectService.Query(directory, 1, Sensitivity.UNSPECIFIED, Duration.ofMillis(500));
        List<String> paths = new ArrayList<>();
        inspect.inspect(query).ifPresent(node -> {
            if (node instanceof InspectNode.Directory found) {
                found.children()
                        .forEach((name, child) -> paths.add(directory + name + (isDirectory(child) ? "/" : "")));
            }
        });
        return paths;
    }

    private static boolean isDirectory(InspectNode node) {
        return node instanceof InspectNode.Directory || node instanceof InspectNode.NotEntered;
    }

    // ---- what there is

    public Table guests() {
        Table.Builder table = Table.of("Guest", "RAM", "Regions", "Attachments", "Virtual machines");
        for (GuestMemoryManager memory : memories.managers()) {
            table.row(
                    memory.guest(),
                    Words.bytes(memory.layout().ramSize()),
                    memory.regions().regions().size(),
                    memory.regions().attachments().stream()
                            .map(a -> a.info().name())
                            .collect(Collectors.joining(" ")),
                    virtualMachines.machines().stream()
                            .filter(vm -> vm.memory() == memory)
                            .map(vm -> vm.name() + ": " + vm.status())
                            .collect(Collectors.joining(", ")));
        }
        return table.build();
    }

    public Table regions(String guest) {
        Table.Builder table = Table.of("Region", "Range", "Kind", "Priority", "In the guest", "Mappings");
        for (RegionInfo region : guest(guest).regions().regions()) {
            table.row(
                    region.id(),
                    region.range(),
                    region.kind(),
                    region.priority(),
                    region.mapped().map(Console::access).orElse("no"),
                    region.mappings().size());
        }
        return table.build();
    }

    public Table flatView(String guest) {
        Table.Builder table = Table.of("Range", "Region", "Kind", "Access", "Backing", "Offset");
        for (FlatPiece piece : guest(guest).regions().flatView()) {
            table.row(
                    piece.range(),
                    piece.region(),
                    piece.kind(),
                    access(piece.writable(), piece.executable()),
                    piece.backing(),
                    Words.hex(piece.backingOffset()));
        }
        return table.build();
    }

    private static String access(MapParameters parameters) {
        return access(parameters.writable(), parameters.executable());
    }

    private static String access(boolean writable, boolean executable) {
        return "r" + (writable ? "w" : "-") + (executable ? "x" : "-");
    }

    public Table backends() {
        Table.Builder table = Table.of("Backend", "Service", "Ranking", "Bundle", "Usable", "Guests");
        for (VirtualMachines.BackendInfo backend : virtualMachines.backends()) {
            table.row(
                    backend.name(),
                    backend.serviceId(),
                    backend.ranking(),
                    backend.bundle(),
                    backend.availability().usable()
                            ? "yes"
                            : "no: " + backend.availability().reason() + "; "
                                    + backend.availability().remedy(),
                    String.join(" ", backend.guests()));
        }
        return table.build();
    }

    public Table machines() {
        Table.Builder table = Table.of("Machine", "Memory", "Processors", "Boots", "Status", "Last result");
        for (Machine machine : requireMachines().machines()) {
            table.row(
                    machine.name(),
                    Words.bytes(machine.config().memorySize()),
                    machine.config().processors(),
                    machine.config().boot().name(),
                    machine.vm().status(),
                    machine.vm().lastResult().map(Console::result).orElse(""));
        }
        return table.build();
    }

    private static String result(RunResult result) {
        return result.kind().name().toLowerCase(Locale.ROOT) + " " + result.code() + ": " + result.reason();
    }

    public String inspect(String path, int depth, boolean sensitive, boolean json) {
        InspectService.Query query = new InspectService.Query(
                path, depth, sensitive ? Sensitivity.SENSITIVE : Sensitivity.UNSPECIFIED, Duration.ofSeconds(2));
        InspectNode node = inspect.inspect(query)
                .orElseThrow(() -> new IllegalArgumentException("there is nothing at inspect path '" + path + "'"));
        return json ? inspect.toJson(node) : inspect.toText(node);
    }

    public String explain(String guest, String address) {
        Explanation found = guest(guest).regions().explain(Words.address(address));
        StringBuilder text = new StringBuilder();
        line(text, "address", Words.hex(found.gpa()));
        line(
                text,
                "guest sees",
                found.visible()
                        .map(piece -> piece.region() + " " + access(piece.writable(), piece.executable()) + ", piece "
                                + piece.range() + ", backing " + piece.backing() + " at "
                                + Words.hex(piece.backingOffset()
                                        + found.gpa()
                                        - piece.range().start()))
                        .orElse("nothing: accesses exit"));
        found.hidden().forEach(region -> line(text, "hides", region.id() + " " + region.range()));
        found.unmapped().forEach(region -> line(text, "not mapped", region.id() + " " + region.range()));
        found.attachments().forEach(attachment -> line(text, "attachment", attachment));
        found.lastChange()
                .ifPresent(entry ->
                        line(text, "last change", entry.sequence() + " at " + entry.time() + ": " + entry.reason()));
        return text.toString();
    }

    private static void line(StringBuilder text, String name, String value) {
        text.append(String.format("%-12s%s%n", name, value));
    }

    public Table journal(String guest) {
        Table.Builder table = Table.of("#", "Time", "Took", "Steps", "Outcome", "Reason", "Failure");
        for (JournalEntry entry : guest(guest).regions().journal()) {
            table.row(
                    entry.sequence(),
                    entry.time(),
                    entry.took().toNanos() / 1000 + " us",
                    entry.plan().steps().size(),
                    entry.outcome().name().toLowerCase(Locale.ROOT).replace('_', ' '),
                    entry.reason(),
                    entry.failure().orElse(""));
        }
        return table.build();
    }

    /** One entry with its operations and plan. */
    public String journalEntry(String guest, long sequence) {
        JournalEntry entry = guest(guest).regions().journal().stream()
                .filter(e -> e.sequence() == sequence)
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException(
                        "the journal of '" + guest + "' has no entry " + sequence + " (any more)"));
        StringBuilder text = new StringBuilder();
        entry.operations().forEach(operation -> line(text, "operation", operation.toString()));
        text.append(entry.plan()).append(System.lineSeparator());
        entry.warnings().forEach(warning -> line(text, "warning", warning));
        entry.failure().ifPresent(failure -> line(text, "failure", failure));
        return text.toString();
    }

    /**
     * The plan of a change, without carrying it out.
     *
     * @param operation {@code map}, {@code map-read-only}, {@code unmap}, {@code remove} or {@code move}
     * @param region as {@link #regions} shows it: {@code ram#3}
     * @param address where to, for {@code move}
     */
    public String plan(String guest, String operation, String region, Optional<String> address)
            throws MembackingException {
        GuestMemoryManager memory = guest(guest);
        RegionId id = memory.regions().regions().stream()
                .map(RegionInfo::id)
                .filter(r -> r.toString().equals(region))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException(
                        "guest '" + guest + "' has no region '" + region + "'; the command regions lists them"));
        Change change = memory.regions().change("dry run of a command");
        switch (operation) {
            case "map" -> change.map(id, MapParameters.RAM);
            case "map-read-only" -> change.map(id, MapParameters.READ_ONLY);
            case "unmap" -> change.unmap(id);
            case "remove" -> change.remove(id);
            case "move" ->
                change.move(
                        id,
                        Words.address(address.orElseThrow(
                                () -> new IllegalArgumentException("to plan a move give the address to move to"))));
            default ->
                throw new IllegalArgumentException(
                        "'" + operation + "' cannot be planned; give one of map, map-read-only, unmap, remove, move");
        }
        return change.plan().toString();
    }

    public String visibility(String guest, String range, String visibility) throws MembackingException {
        RamVisibility chosen;
        try {
            chosen = RamVisibility.valueOf(visibility.toUpperCase(Locale.ROOT).replace('-', '_'));
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(
                    "'" + visibility + "' is no visibility; give one of read-write, read-only, unmapped", e);
        }
        guest(guest).setVisibility(Words.range(range), chosen);
        return "RAM at " + range + " is " + visibility + System.lineSeparator();
    }

    /** Every guest's drift, or one guest's. */
    public Table drift(Optional<String> guest) {
        Table.Builder table = Table.of("Guest", "Where", "Range", "Expected", "Found");
        List<GuestMemoryManager> chosen =
                guest.map(name -> List.of(guest(name))).orElseGet(memories::managers);
        for (GuestMemoryManager memory : chosen) {
            DriftReport report = memory.regions().checkDrift();
            if (report.clean()) {
                table.row(memory.guest(), "everywhere", "", "agree", "agree");
            }
            report.differences().forEach(d -> table.row(memory.guest(), d.where(), d.range(), d.expected(), d.found()));
        }
        return table.build();
    }

    public Table attachments(String guest) {
        Table.Builder table = Table.of("Attachment", "Backend", "VTL", "Alias offset", "Pin", "Prefetch", "Status");
        for (Attachment attachment : guest(guest).regions().attachments()) {
            Attachment.Info info = attachment.info();
            table.row(
                    info.name(),
                    info.backend(),
                    info.vtl(),
                    info.aliasOffset().isPresent()
                            ? Words.hex(info.aliasOffset().getAsLong())
                            : "",
                    effect(info.pin()),
                    effect(info.prefetch()),
                    info.attached() ? "attached" : "detached: " + info.detachedReason());
        }
        return table.build();
    }

    private static String effect(Attachment.Effect effect) {
        return effect.asked()
                ? "asked, got "
                        + effect.achieved().name().toLowerCase(Locale.ROOT).replace('_', ' ')
                : "not asked";
    }

    // ---- machines

    public String boot(BootOptions options) throws MembackingException, IOException {
        Machines service = requireMachines();
        Optional<Machine> existing = service.machine(options.name());
        if (existing.isPresent()) {
            existing.get().start();
            return "machine '" + options.name() + "' boots again" + System.lineSeparator();
        }
        RecentOutput output = new RecentOutput();
        Machine machine = service.create(options.toConfig().withOutput(output, output));
        outputs.put(options.name(), output);
        try {
            machine.start();
        } catch (MembackingException | RuntimeException e) {
            machine.close();
            outputs.remove(options.name());
            throw e;
        }
        return "machine '" + options.name() + "' boots; the command output shows what it writes"
                + System.lineSeparator();
    }

    public String stop(String name) {
        Machine machine = requireMachines()
                .machine(name)
                .orElseThrow(() -> new IllegalArgumentException(
                        "there is no machine '" + name + "'; the command machines lists them"));
        machine.close();
        outputs.remove(name);
        return "machine '" + name + "' is stopped and its memory freed" + System.lineSeparator();
    }

    public String output(String name) {
        RecentOutput output = outputs.get(name);
        if (output == null) {
            throw new IllegalArgumentException("no command has booted a machine '" + name + "'");
        }
        return output.text();
    }

    // ---- moves

    /** What a move would do. @param backend as for {@link #move} */
    public String forecast(String name, String backend) {
        MoveForecast forecast = virtualMachine(name).forecast(filter(backend));
        StringBuilder text = new StringBuilder();
        line(text, "now", forecast.from());
        line(text, "to", forecast.to());
        line(text, "possible", forecast.possible() ? "yes" : "no");
        forecast.obstacles().forEach(obstacle -> line(text, "obstacle", obstacle));
        forecast.carried().forEach(part -> line(text, "carried", part));
        forecast.lost().forEach(part -> line(text, "lost", part));
        return text.toString();
    }

    /**
     * Moves a virtual machine while it runs.
     *
     * @param backend a name, a service's number, a filter in parentheses, or the empty string for the best other
     */
    public String move(String name, String backend) {
        return result(virtualMachine(name).move(filter(backend)));
    }

    public String park(String name, String reason) {
        return result(virtualMachine(name).park(reason));
    }

    private static String result(CompletionStage<MoveResult> move) {
        MoveResult result;
        try {
            result = move.toCompletableFuture().get(MOVE_DEADLINE.toSeconds(), TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted; the move goes on", e);
        } catch (ExecutionException | TimeoutException e) {
            throw new IllegalStateException("the move has not ended within " + MOVE_DEADLINE + " and goes on", e);
        }
        StringBuilder text = new StringBuilder();
        line(text, "result", result.kind().name().toLowerCase(Locale.ROOT));
        line(text, "from", result.from());
        line(text, "to", result.to());
        line(text, "reason", result.reason());
        line(text, "stood still", Words.microseconds(result.standStill().toNanos()));
        MoveResult.Times times = result.times();
        line(
                text,
                "parts",
                "prepare " + Words.microseconds(times.prepare()) + ", hold " + Words.microseconds(times.hold())
                        + ", save " + Words.microseconds(times.save()) + ", restore "
                        + Words.microseconds(times.restore()) + ", verify " + Words.microseconds(times.verify())
                        + ", close " + Words.microseconds(times.close()));
        return text.toString();
    }

    private static String filter(String backend) {
        if (backend.isEmpty() || backend.startsWith("(")) {
            return backend;
        }
        return backend.chars().allMatch(Character::isDigit)
                ? "(" + Constants.SERVICE_ID + "=" + backend + ")"
                : "(" + PartitionBackend.NAME + "=" + backend + ")";
    }

    public String policy(String name, String policy) {
        MovePolicy chosen;
        try {
            chosen = MovePolicy.valueOf(policy.toUpperCase(Locale.ROOT).replace('-', '_'));
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(
                    "'" + policy + "' is no policy; give one of when-backend-departs, to-better-backend, pinned", e);
        }
        virtualMachine(name).setPolicy(chosen);
        return "virtual machine '" + name + "' moves by itself: " + policy + System.lineSeparator();
    }

    /** Begins a trace into a file, or ends it. @param file empty to end it */
    public String trace(String name, Optional<String> file) throws MembackingException {
        VirtualMachine machine = virtualMachine(name);
        if (file.isEmpty()) {
            machine.stopTrace();
            return "the trace of '" + name + "' has ended" + System.lineSeparator();
        }
        Path path = Path.of(file.get()).toAbsolutePath();
        machine.startTrace(path);
        return "'" + name + "' is traced into " + path + System.lineSeparator();
    }

    public List<String> virtualMachineNames() {
        return virtualMachines.machines().stream().map(VirtualMachine::name).toList();
    }

    public List<String> backendNames() {
        return virtualMachines.backends().stream()
                .flatMap(backend -> Stream.of(backend.name(), Long.toString(backend.serviceId())))
                .distinct()
                .toList();
    }

    private VirtualMachine virtualMachine(String name) {
        return virtualMachines.machines().stream()
                .filter(machine -> machine.name().equals(name))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException(
                        "there is no virtual machine '" + name + "'; the command guests lists them"));
    }

    private Machines requireMachines() {
        Machines service = machines;
        if (service == null) {
            throw new IllegalStateException(
                    "there are no machines: install and start the bundle io.membacking.machine");
        }
        return service;
    }

    private GuestMemoryManager guest(String name) {
        return memories.manager(name)
                .orElseThrow(() -> new IllegalArgumentException(
                        "there is no guest '" + name + "'; the command guests lists them"));
    }
}
