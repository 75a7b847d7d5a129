/** The inspect tree: aggregation of providers, paths and output formats. */
@org.jspecify.annotations.NullMarked
package io.membacking.inspect.internal;
