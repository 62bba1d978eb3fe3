/* target.c - see target.h. */
#include "cli/target.h"

#include "base/file.h"

int target_check(const char *path, const char *option, Err *e)
{
    if (!path || !*path)
        return err_set(e, ERR_ARG, "%s is missing: name the folder to write", option);
    if (!file_exists(path))
        return 0;
    if (!file_is_dir(path))
        return err_set(e, ERR_ARG, "%s: there is already a file of this name; %s names a new folder", path, option);
    FileList l = { 0 };
    int      rc = file_list(&l, path, e);
    if (!rc && l.n)
        rc = err_set(e, ERR_ARG, "%s: this folder is not empty, and hone does not write over it; remove it, or choose another %s", path, option);
    file_list_release(&l);
    return rc;
}

int target_check_file(const char *path, const char *option, const char *ending, Err *e)
{
    if (!path || !*path)
        return err_set(e, ERR_ARG, "%s is missing: name the file to write", option);
    if (!str_ends(str_of(path), ending) || !strcmp(path_base(path), ending))
        return err_set(e, ERR_ARG, "%s %s: this format is one file, whose name ends with %s", option, path, ending);
    if (file_exists(path))
        return err_set(e, ERR_ARG, "%s: there is already something of this name, and hone does not write over it; remove it, or choose another %s", path, option);
    return 0;
}
