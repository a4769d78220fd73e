# Writes one man page per command that `weir --help` lists.  Run as
#   cmake -DWEIR=<the command> -DFOLDER=<where to> -P man_pages.cmake
execute_process(COMMAND ${WEIR} --help OUTPUT_VARIABLE help COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "\n  [a-z]+  +[a-z]" lines "${help}")
if(NOT lines)
  message(FATAL_ERROR "'${WEIR} --help' lists no commands")
endif()
file(REMOVE_RECURSE ${FOLDER})
foreach(line IN LISTS lines)
  string(REGEX MATCH "[a-z]+" command "${line}")
  execute_process(COMMAND ${WEIR} --man ${command} OUTPUT_VARIABLE page COMMAND_ERROR_IS_FATAL ANY)
  file(WRITE ${FOLDER}/weir-${command}.1 "${page}")
endforeach()
