/** Commands over the public API; no logic of its own. */
@org.jspecify.annotations.NullMarked
package io.membacking.shell;
