#include <stdio.h>

int main(void)
{
    puts("flosim");
    return 0;
}
