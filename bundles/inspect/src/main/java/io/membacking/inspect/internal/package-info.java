/**
 * The inspect tree: aggregation of providers, paths and output formats. {@link io.membacking.inspect.internal.InspectTree} is
 * the component; the rest is pure. Nothing here knows a guest or a region, and nothing of a provider is kept between queries but
 * the service itself.
 */
@org.jspecify.annotations.NullMarked
package io.membacking.inspect.internal;
