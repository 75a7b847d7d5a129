/**
 * The main job of the runnable jar: boots a firmware image or a kernel, shows its output, prints the memory map as the guest left
 * it, and makes an exit code of how it ended. Uses the API alone, and the guest programs where there is no firmware.
 */
@NullMarked
package io.membacking.runner;

import org.jspecify.annotations.NullMarked;
