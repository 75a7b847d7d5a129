/**
 * The launcher of the runnable jar: starts Felix with the bundles nested in the jar, calls the main job that one of them
 * registers, and ends with its exit code. What the job is and which options it knows lives in that bundle, never here.
 */
@NullMarked
package io.membacking.app;

import org.jspecify.annotations.NullMarked;
