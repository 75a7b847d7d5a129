# What the scripts of this folder share: where the Windows JVM, Wine and the prefixes are, how they are made, and how a Windows
# program is run. To be sourced by bash.
#
#   MEMBACKING_WINE_CACHE     what is fetched or built once and only read afterwards: the Windows JVM, JUnit's console and the
#                             tree with Wine 10 (1 GB); ~/.cache/membacking unless set
#   MEMBACKING_WINE_PREFIXES  the Wine prefixes, one for each Wine; itests/wine/target unless set. Those who run at the same time
#                             may share them
#   MEMBACKING_DEBIAN_MIRROR  where the tree's packages come from; http://deb.debian.org/debian unless set

wine_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${MEMBACKING_WINE_CACHE:-$HOME/.cache/membacking}
prefixes=${MEMBACKING_WINE_PREFIXES:-$wine_folder/target}

jvm_artifact=org.sonarsource.scanner.cli:sonar-scanner-cli:6.2.1.4610:zip:windows-x64
jvm_zip=sonar-scanner-cli-6.2.1.4610-windows-x64.zip
jvm_sha256=b7de8d75c43093e0353e6a3147c3720cafac1c38da96bc61123657197086a1c9
jvm_home=$cache/windows-jre-17.0.12+7
junit_jar=$cache/junit-platform-console-standalone-1.13.4.jar
tree=$cache/wine-10-tree
wine_loader=/usr/lib/wine/wine64

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 2
}

# The caller alone runs "make", whoever else wants the same thing at the same time; nothing half made is ever at its place.
once() {
    local place=$1 make=$2
    [[ -e $place ]] && return
    mkdir -p "$(dirname "$place")"
    (
        flock 9
        [[ -e $place ]] || {
            rm -rf "$place.part"
            "$make" "$place.part"
            mv "$place.part" "$place"
        }
    ) 9> "$place.lock"
}

copy_artifact() {
    (cd / && mvn -B -q org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy -Dartifact="$1" -DoutputDirectory="$2") >&2
}

make_jvm() {
    mkdir "$1"
    copy_artifact "$jvm_artifact" "$1"
    echo "$jvm_sha256  $1/$jvm_zip" | sha256sum --check --quiet >&2 || fail "not the archive that was expected: $jvm_artifact"
    (cd "$1" && "${JAVA_HOME:+$JAVA_HOME/bin/}jar" xf "$jvm_zip" && mv sonar-scanner-*/jre/* . && rm -r sonar-scanner-*)
}

make_junit() {
    copy_artifact org.junit.platform:junit-platform-console-standalone:1.13.4 "$1.folder"
    mv "$1.folder/$(basename "$junit_jar")" "$1"
    rmdir "$1.folder"
}

# Debian trixie's essential packages and its Wine, without manuals and translations.
make_tree() {
    type mmdebstrap > /dev/null 2>&1 || fail "Wine 10 needs a tree made by mmdebstrap: apt-get install mmdebstrap"
    mmdebstrap --quiet --variant=essential --include=wine64 \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        trixie "$1" "${MEMBACKING_DEBIAN_MIRROR:-http://deb.debian.org/debian}" >&2
}

make_prefix() {
    WINEPREFIX=$1 run_wine wineboot --init > /dev/null 2>&1 || fail "Wine $wine makes no prefix at $1"
}

# Runs Wine $wine, in this process's place, for the prefix in WINEPREFIX.
exec_wine() {
    export WINEDEBUG=${WINEDEBUG:--all} WINEDLLOVERRIDES=${WINEDLLOVERRIDES:-mscoree,mshtml,winex11.drv,winewayland.drv=}
    unset DISPLAY WAYLAND_DISPLAY
    case $wine in
        8) exec "$wine_loader" "$@" ;;
        10)
            local user=()
            ((EUID == 0)) || user=(--map-root-user)
            # The tree supplies the programs and libraries alone; everything else is at the same path inside as outside.
            exec unshare "${user[@]}" --mount /bin/bash -c '
                set -e
                tree=$1 folder=$2
                shift 2
                for place in /*; do
                    case $place in
                        /bin | /boot | /etc | /lib* | /opt | /sbin | /usr | /var) ;;
                        *) [[ -d $place && ! -L $place ]] && mkdir -p "$tree$place" && mount --rbind "$place" "$tree$place" ;;
                    esac
                done
                exec chroot "$tree" /bin/sh -c '\''cd "$1"; shift; exec "$@"'\'' sh "$folder" "$@"
            ' bash "$tree" "$PWD" "$wine_loader" "$@"
            ;;
    esac
}

run_wine() {
    (exec_wine "$@")
}

# Names what is missing for Wine $wine, and makes its prefix.
prepare() {
    case $wine in
        8) [[ -x $wine_loader ]] || fail "not here: $wine_loader; apt-get install wine64" ;;
        10) [[ -d $tree ]] || fail "not here: a tree with Wine 10 at $tree; run itests/wine/setup" ;;
        *) fail "there is Wine 8 (the host's own) and 10 (in a tree), not $wine" ;;
    esac
    [[ -d $jvm_home ]] || fail "not here: a Windows JVM at $jvm_home; run itests/wine/setup"
    export WINEPREFIX=$prefixes/wine-$wine
    once "$WINEPREFIX" make_prefix
}

# Lets Windows programs find the DLLs of a folder: NAME.dll is a placeholder there, x86_64-unix/NAME.dll.so what Wine loads in its place.
use_dlls() {
    local folder
    folder=$(cd "$1" && pwd) || fail "no folder: $1"
    export WINEDLLPATH=$folder
    cp -p "$folder"/*.dll "$WINEPREFIX/drive_c/windows/system32/"
}
