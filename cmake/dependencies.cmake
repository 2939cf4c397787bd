# Everything the stack is built on comes from the system (Debian 12 packages; see tools/setup).
find_package(PkgConfig REQUIRED)
pkg_check_modules(jansson REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(sodium  REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(uv      REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(openssl REQUIRED IMPORTED_TARGET openssl)
pkg_check_modules(zlib    REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(brotli  REQUIRED IMPORTED_TARGET libbrotlienc)
pkg_check_modules(sqlite  REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(pq      REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(hiredis REQUIRED IMPORTED_TARGET hiredis)
pkg_check_modules(curl    REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(cmocka  REQUIRED IMPORTED_TARGET cmocka)

# wslay ships no pkg-config file.
find_library(WSLAY_LIBRARY wslay REQUIRED)
find_path(WSLAY_INCLUDE wslay/wslay.h REQUIRED)
add_library(wslay INTERFACE)
target_link_libraries(wslay INTERFACE ${WSLAY_LIBRARY})
target_include_directories(wslay SYSTEM INTERFACE ${WSLAY_INCLUDE})

# Debian's node-llhttp installs llhttp as C sources; they are compiled here, warnings off.
find_path(LLHTTP_SOURCES llhttp.c PATHS /usr/share/llhttp ${TIMS_SYSROOT}/usr/share/llhttp REQUIRED NO_DEFAULT_PATH)
find_path(LLHTTP_INCLUDE llhttp.h PATHS /usr/share/include/llhttp ${TIMS_SYSROOT}/usr/share/include/llhttp REQUIRED NO_DEFAULT_PATH)
add_library(llhttp OBJECT ${LLHTTP_SOURCES}/llhttp.c ${LLHTTP_SOURCES}/api.c ${LLHTTP_SOURCES}/http.c)
target_include_directories(llhttp SYSTEM PUBLIC ${LLHTTP_INCLUDE})
target_compile_options(llhttp PRIVATE -w -O2)
# Both tables are in the file; only the strict one refuses what differs between parsers.
target_compile_definitions(llhttp PUBLIC LLHTTP_STRICT_MODE=1)
