# Builds the files of a folder into a target as `const tims_embedded <symbol>[]`, sorted by name.
function(tims_embed target folder symbol)
    file(GLOB files CONFIGURE_DEPENDS ${folder}/*)
    set(output ${CMAKE_BINARY_DIR}/embedded/${symbol}.c)
    set(script ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/embed.cmake)
    add_custom_command(OUTPUT ${output}
        COMMAND ${CMAKE_COMMAND} -DOUTPUT=${output} -DSYMBOL=${symbol} "-DFILES=${files}" -P ${script}
        DEPENDS ${files} ${script} VERBATIM)
    target_sources(${target} PRIVATE ${output})
endfunction()
