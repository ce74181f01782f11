/* The names of what the package's Lua side writes files with. */
#ifndef BIND_NEW_FILES_H
#define BIND_NEW_FILES_H

#define BIND_FILE_SET "gpt.FileSet"

#endif
