/* lora_int.h - what lora.c and lora_tables.c share. */
#ifndef HONE_LORA_INT_H
#define HONE_LORA_INT_H

#include "base/map.h"
#include "model/lora.h"

#define PEFT_PREFIX "base_model.model."

/* Reads the tables that are there, notes their names in `used`, and refuses entries of modules_to_save that are no such table. */
int   adapter_load_tables(Adapter *a, const Model *m, const StFile *f, const Json *config, Map *used, const char *where, Err *e);
Json *adapter_tables_json(const Adapter *a, const Model *m);                      /* what modules_to_save is to say; empty: nothing */
void  adapter_declare_tables(const Adapter *a, const Model *m, StWriter *w, Arena *names);
int   adapter_write_tables(const Adapter *a, const Model *m, StWriter *w, Err *e);

#endif
