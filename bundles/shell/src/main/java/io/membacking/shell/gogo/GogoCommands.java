package io.membacking.shell.gogo;

import io.membacking.error.MembackingException;
import io.membacking.shell.internal.BootOptions;
import io.membacking.shell.internal.Console;
import java.io.IOException;
import java.util.Optional;
import org.apache.felix.service.command.Descriptor;
import org.apache.felix.service.command.Parameter;

/** The commands as Gogo takes them: each method is one. */
public final class GogoCommands {
    private final Console console;

    GogoCommands(Console console) {
        this.console = console;
    }

    @Descriptor("lists the attachments of a guest")
    public String attachments(@Descriptor("guest") String guest) {
        return console.attachments(guest).toString();
    }

    @Descriptor("lists the hypervisor backends, best first")
    public String backends() {
        return console.backends().toString();
    }

    @Descriptor("makes a machine and boots it, or boots one again")
    public String boot(
            @Descriptor("RAM: 64M")
                    @Parameter(
                            names = {"-m", "--memory"},
                            absentValue = "64M")
                    String memory,
            @Descriptor("processors")
                    @Parameter(
                            names = {"-p", "--processors"},
                            absentValue = "1")
                    int processors,
            @Descriptor("firmware image")
                    @Parameter(
                            names = {"-f", "--firmware"},
                            absentValue = "")
                    String firmware,
            @Descriptor("kernel image")
                    @Parameter(
                            names = {"-k", "--kernel"},
                            absentValue = "")
                    String kernel,
            @Descriptor("command line")
                    @Parameter(
                            names = {"-a", "--append"},
                            absentValue = "")
                    String append,
            @Descriptor("without interrupt controllers, as a move to a backend of another kind needs")
                    @Parameter(
                            names = {"-n", "--no-interrupts"},
                            presentValue = "true",
                            absentValue = "false")
                    boolean noInterrupts,
            @Descriptor("name") String name)
            throws MembackingException, IOException {
        return console.boot(new BootOptions(
                name,
                memory,
                processors,
                firmware.isEmpty() ? null : firmware,
                kernel.isEmpty() ? null : kernel,
                append,
                noInterrupts));
    }

    @Descriptor("compares every view of every guest with its regions")
    public String drift() {
        return console.drift(Optional.empty()).toString();
    }

    @Descriptor("compares every view of a guest with its regions")
    public String drift(@Descriptor("guest") String guest) {
        return console.drift(Optional.of(guest)).toString();
    }

    @Descriptor("says why a guest-physical address is what it is")
    public String explain(@Descriptor("guest") String guest, @Descriptor("address: 0x1000") String address) {
        return console.explain(guest, address);
    }

    @Descriptor("shows what a guest sees")
    public String flat(@Descriptor("guest") String guest) {
        return console.flatView(guest).toString();
    }

    @Descriptor("lists the guests")
    public String guests() {
        return console.guests().toString();
    }

    @Descriptor("shows the inspect tree")
    public String inspect(
            @Descriptor("levels to enter")
                    @Parameter(
                            names = {"-d", "--depth"},
                            absentValue = "8")
                    int depth,
            @Descriptor("show host addresses too")
                    @Parameter(
                            names = {"-s", "--sensitive"},
                            presentValue = "true",
                            absentValue = "false")
                    boolean sensitive,
            @Descriptor("as JSON")
                    @Parameter(
                            names = {"-j", "--json"},
                            presentValue = "true",
                            absentValue = "false")
                    boolean json,
            @Descriptor("path: guests/x/regions") String path) {
        return console.inspect(path, depth, sensitive, json);
    }

    @Descriptor("lists the latest changes of a guest")
    public String journal(@Descriptor("guest") String guest) {
        return console.journal(guest).toString();
    }

    @Descriptor("shows one change of a guest with its plan")
    public String journal(@Descriptor("guest") String guest, @Descriptor("number") long sequence) {
        return console.journalEntry(guest, sequence);
    }

    @Descriptor("lists the machines")
    public String machines() {
        return console.machines().toString();
    }

    @Descriptor("shows what a booted machine wrote")
    public String output(@Descriptor("machine") String name) {
        return console.output(name);
    }

    @Descriptor("says what moving a virtual machine to another backend would carry over")
    public String forecast(@Descriptor("virtual machine") String name) {
        return console.forecast(name, "");
    }

    @Descriptor("says what moving a virtual machine to a backend would carry over")
    public String forecast(
            @Descriptor("virtual machine") String name,
            @Descriptor("backend: a name, a service's number or a filter") String backend) {
        return console.forecast(name, backend);
    }

    @Descriptor("moves a virtual machine to the best other backend while it runs")
    public String move(@Descriptor("virtual machine") String name) {
        return console.move(name, "");
    }

    @Descriptor("moves a virtual machine to a backend while it runs")
    public String move(
            @Descriptor("virtual machine") String name,
            @Descriptor("backend: a name, a service's number or a filter") String backend) {
        return console.move(name, backend);
    }

    @Descriptor("takes a virtual machine off its backend until it is moved to one")
    public String park(@Descriptor("virtual machine") String name) {
        return console.park(name, "asked for by a command");
    }

    @Descriptor("says when a virtual machine moves by itself")
    public String policy(
            @Descriptor("virtual machine") String name,
            @Descriptor("when-backend-departs, to-better-backend or pinned") String policy) {
        return console.policy(name, policy);
    }

    @Descriptor("writes what a virtual machine's processors do to a file")
    public String trace(@Descriptor("virtual machine") String name, @Descriptor("file") String file)
            throws MembackingException {
        return console.trace(name, Optional.of(file));
    }

    @Descriptor("ends the trace of a virtual machine")
    public String trace(@Descriptor("virtual machine") String name) throws MembackingException {
        return console.trace(name, Optional.empty());
    }

    @Descriptor("shows the plan of a change without carrying it out")
    public String plan(
            @Descriptor("guest") String guest,
            @Descriptor("map, map-read-only, unmap, remove or move") String operation,
            @Descriptor("region: ram#1") String region)
            throws MembackingException {
        return console.plan(guest, operation, region, Optional.empty());
    }

    @Descriptor("shows the plan of a change without carrying it out")
    public String plan(
            @Descriptor("guest") String guest,
            @Descriptor("move") String operation,
            @Descriptor("region: ram#1") String region,
            @Descriptor("address") String address)
            throws MembackingException {
        return console.plan(guest, operation, region, Optional.of(address));
    }

    @Descriptor("lists the regions of a guest")
    public String regions(@Descriptor("guest") String guest) {
        return console.regions(guest).toString();
    }

    @Descriptor("stops a machine and frees its memory")
    public String stop(@Descriptor("machine") String name) {
        return console.stop(name);
    }

    @Descriptor("sets what a guest sees of one RAM region")
    public String visibility(
            @Descriptor("guest") String guest,
            @Descriptor("range: 0xc0000-0xc4000") String range,
            @Descriptor("read-write, read-only or unmapped") String visibility)
            throws MembackingException {
        return console.visibility(guest, range, visibility);
    }
}
