package io.membacking.region;

public enum RegionKind {
    RAM,
    DEVICE
}
