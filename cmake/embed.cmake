# Writes a text file as a C string.  Run as
#   cmake -DTEXT=<the file> -DHEADER=<that declares it> -DNAME=<of the array> -DSOURCE=<where to> -P embed.cmake
file(READ ${TEXT} bytes HEX)
string(REGEX REPLACE "(................................................................)" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(WRITE ${SOURCE} "#include \"${HEADER}\"\n\nconst char ${NAME}[] = {\n${bytes}0};\n")
