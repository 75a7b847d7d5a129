/** The main job of the runnable jar. */
@org.jspecify.annotations.NullMarked
package io.membacking.runner;
