package io.membacking.vm.internal;

import jdk.jfr.Category;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** A part of a move, as Flight Recorder shows it. Loaded where there is a Flight Recorder alone. */
@Name("io.membacking.MovePart")
@Label("Part of a move")
@Category("Membacking")
@StackTrace(false)
final class MovePart extends Event {
    @Label("Virtual machine")
    String machine = "";

    @Label("Part")
    String part = "";
}
