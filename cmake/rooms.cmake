# tims_room(name LINKS …): one room of the stack, its tests and its fuzz targets.

include(${CMAKE_CURRENT_LIST_DIR}/embedded.cmake)

add_library(tims_flags INTERFACE)
target_include_directories(tims_flags INTERFACE ${CMAKE_SOURCE_DIR}/stack/include)
target_compile_options(tims_flags INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wvla -Werror -Wno-missing-field-initializers
    -fno-omit-frame-pointer -fno-strict-aliasing
    -ffile-prefix-map=${CMAKE_BINARY_DIR}=build -ffile-prefix-map=${CMAKE_SOURCE_DIR}=. # the same bytes from any folder
    # A fiber that waits stands in a list with a node on its own stack; gcc 12 takes that for a dangling pointer.
    $<$<C_COMPILER_ID:GNU>:-ftrack-macro-expansion=0;-Wno-dangling-pointer>
    $<$<C_COMPILER_ID:Clang>:-fmacro-backtrace-limit=1>
    $<$<CONFIG:Release>:-O2;-g1;-fstack-protector-strong;-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=3>
    $<$<AND:$<CONFIG:Release>,$<STREQUAL:${CMAKE_SYSTEM_PROCESSOR},x86_64>>:-fcf-protection>
    $<$<AND:$<CONFIG:Release>,$<STREQUAL:${CMAKE_SYSTEM_PROCESSOR},aarch64>>:-mbranch-protection=standard>)
target_compile_definitions(tims_flags INTERFACE _GNU_SOURCE)
target_link_options(tims_flags INTERFACE $<$<CONFIG:Release>:-pie;-Wl,-z,relro,-z,now,--gc-sections>)
if(TIMS_SANITIZE)
    target_compile_options(tims_flags INTERFACE -fsanitize=${TIMS_SANITIZE} -fno-sanitize-recover=all -g -O1)
    target_link_options(tims_flags INTERFACE -fsanitize=${TIMS_SANITIZE})
endif()
if(TIMS_FUZZ)
    target_compile_options(tims_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
find_package(Threads REQUIRED)
enable_testing()
set_property(GLOBAL PROPERTY TIMS_ROOMS "")
add_custom_target(unit_tests)
add_custom_target(fuzz_targets)

function(tims_room room)
    cmake_parse_arguments(ARG "" "" "LINKS" ${ARGN})
    set(folder ${CMAKE_SOURCE_DIR}/stack/${room})
    file(GLOB_RECURSE all CONFIGURE_DEPENDS ${folder}/*.c ${folder}/*.S)
    set(tests ${all})
    set(fuzzers ${all})
    list(FILTER tests INCLUDE REGEX "_test\\.c$")
    list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.c$")
    set(sources ${all})
    list(FILTER sources EXCLUDE REGEX "_(test|fuzz)\\.c$")
    if(NOT sources)
        set(sources ${CMAKE_BINARY_DIR}/empty_${room}.c)
        file(WRITE ${sources} "typedef int tims_empty_${room};\n")
    endif()
    add_library(${room} STATIC ${sources})
    set_target_properties(${room} PROPERTIES OUTPUT_NAME tims_${room})
    target_include_directories(${room} PRIVATE ${CMAKE_SOURCE_DIR}/stack)
    target_link_libraries(${room} PUBLIC tims_flags Threads::Threads ${ARG_LINKS})
    file(GLOB embedded LIST_DIRECTORIES true ${folder}/migrations)
    if(embedded)
        tims_embed(${room} ${folder}/migrations tims_${room}_migrations)
    endif()
    set_property(GLOBAL APPEND PROPERTY TIMS_ROOMS ${room})
    tims_tests(${room} ${tests})
    if(TIMS_FUZZ)
        foreach(source ${fuzzers})
            get_filename_component(name ${source} NAME_WE)
            add_executable(${name} ${source})
            target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/stack)
            target_link_libraries(${name} PRIVATE ${room})
            target_link_options(${name} PRIVATE -fsanitize=fuzzer)
            set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
            add_dependencies(fuzz_targets ${name})
        endforeach()
    endif()
endfunction()

# Each file becomes a test program of its own, linked with `library`.
function(tims_tests library)
    foreach(source ${ARGN})
        get_filename_component(name ${source} NAME_WE)
        add_executable(${name} EXCLUDE_FROM_ALL ${source})
        target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/stack ${CMAKE_SOURCE_DIR}/back)
        target_link_libraries(${name} PRIVATE ${library} PkgConfig::cmocka)
        set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
        add_test(NAME ${name} COMMAND ${name})
        add_dependencies(unit_tests ${name})
    endforeach()
endfunction()

# libtims.a: every room in one archive.
function(tims_library)
    get_property(rooms GLOBAL PROPERTY TIMS_ROOMS)
    set(objects "")
    foreach(room ${rooms})
        list(APPEND objects $<TARGET_OBJECTS:${room}>)
    endforeach()
    add_library(tims_archive STATIC EXCLUDE_FROM_ALL ${objects} $<TARGET_OBJECTS:llhttp>)
    set_target_properties(tims_archive PROPERTIES OUTPUT_NAME tims)
endfunction()

# For apps in folders of their own: find_package(tims PATHS <here>/build/release) gives them the target `tims`, which is
# every room as it was built here, and tims_embed. Nothing is installed or copied.
function(tims_package)
    get_property(rooms GLOBAL PROPERTY TIMS_ROOMS)
    export(TARGETS ${rooms} tims_flags wslay llhttp FILE ${CMAKE_BINARY_DIR}/tims-targets.cmake)
    file(WRITE ${CMAKE_BINARY_DIR}/tims-config.cmake
        "include(${CMAKE_SOURCE_DIR}/cmake/package.cmake)\n"
        "include(\${CMAKE_CURRENT_LIST_DIR}/tims-targets.cmake)\n"
        "add_library(tims INTERFACE)\ntarget_link_libraries(tims INTERFACE app)\n")
    add_custom_target(tims)
    add_dependencies(tims ${rooms})
endfunction()
