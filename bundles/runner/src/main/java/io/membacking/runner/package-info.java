/**
 * The main job of the runnable jar: boots a firmware image or a kernel, shows its output, prints the memory map as the guest left
 * it, and makes an exit code of how it ended. Uses the API alone, and our own guest programs where firmware is missing or no
 * hypervisor can run it; for one of them it is the monitor that gives device memory and moves the guest.
 */
@NullMarked
package io.membacking.runner;

import org.jspecify.annotations.NullMarked;
