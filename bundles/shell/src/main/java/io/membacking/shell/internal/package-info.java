/**
 * What the commands say, as tables and text, whichever shell asks: no more than calls of the API and their rendering.
 *
 * <p>{@code io.membacking.shell.karaf} and {@code io.membacking.shell.gogo} offer the same commands to the two shells; the one
 * whose shell is not installed is never loaded.
 */
@NullMarked
package io.membacking.shell.internal;

import org.jspecify.annotations.NullMarked;
