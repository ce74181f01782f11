/* The program: LUAGPT_FUZZ names the target, all else are libFuzzer's arguments. Without a name it lists all. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const FuzzTarget *target;
static GptEnv *env;

static void list_targets(void) {
  for (const FuzzTarget *each = fuzz_targets; each->name != NULL; each++) puts(each->name);
  fuzz_print_lua_targets();
}

static const FuzzTarget *core_target(const char *name) {
  for (const FuzzTarget *each = fuzz_targets; each->name != NULL; each++)
    if (strcmp(each->name, name) == 0) return each;
  return NULL;
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  const char *name = getenv("LUAGPT_FUZZ");
  (void)argc, (void)argv;
  if (name == NULL) list_targets(), exit(0);
  target = core_target(name);
  if (target != NULL) env = gpt_env_new();
  else target = fuzz_lua_target(name, &env);
  if (target == NULL || env == NULL) fprintf(stderr, "fuzz: no target %s\n", name), exit(2);
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  FuzzInput input = {.data = data, .size = size};
  fuzz_run(env, target, &input);
  return 0;
}
