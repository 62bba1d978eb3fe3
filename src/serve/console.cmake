# The pages' files (src/serve/console/) as one generated C file of the room serve: the program needs nothing beside itself.
# Called twice: from CMakeLists.txt it makes the rule, and as a script (cmake -P) it writes the file.
if(CMAKE_SCRIPT_MODE_FILE)
    set(arrays "")
    set(table "")
    set(n 0)
    foreach(path IN LISTS FILES)
        get_filename_component(name ${path} NAME)
        file(READ ${path} hex HEX)
        string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
        string(APPEND arrays "static const unsigned char file_${n}[] = { ${bytes} };\n")
        string(APPEND table "    { \"${name}\", file_${n}, sizeof file_${n} },\n")
        math(EXPR n "${n} + 1")
    endforeach()
    file(WRITE ${OUT} "/* Generated from src/serve/console/ by console.cmake. */\n#include \"serve/console.h\"\n\n${arrays}\nconst ConsoleFile console_files[] = {\n${table}    { 0 },\n};\n")
    return()
endif()

if(TARGET hone_serve)
    file(GLOB console_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/serve/console/*)
    set(console_out ${CMAKE_BINARY_DIR}/console_files.c)
    add_custom_command(OUTPUT ${console_out}
        COMMAND ${CMAKE_COMMAND} "-DFILES=${console_sources}" -DOUT=${console_out} -P ${CMAKE_SOURCE_DIR}/src/serve/console.cmake
        DEPENDS ${console_sources} ${CMAKE_SOURCE_DIR}/src/serve/console.cmake VERBATIM)
    target_sources(hone_serve PRIVATE ${console_out})
endif()
