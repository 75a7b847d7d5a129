/** Regions, the flat view, its difference and the plan of a change. */
@org.jspecify.annotations.NullMarked
package io.membacking.region.internal;
